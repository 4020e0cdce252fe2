// Rows with just enough in them, made by number.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "core/store/draft.hpp"
#include "core/store/store.hpp"

namespace skep::test {

inline model::Service service(uint64_t number, const std::string& name) {
  model::Service row;
  row.id = {{1, number}};
  row.name = name;
  return row;
}

inline model::ServiceSpec spec(const std::string& name, size_t bytes = 0) {
  model::ServiceSpec row;
  row.name = name;
  row.task.container.image = "httpd:2.4.34" + std::string(bytes, 'x');
  return row;
}

inline model::Task task(uint64_t number, uint64_t service_number, uint64_t slot) {
  model::Task row;
  row.id = {{number * 0x9e3779b97f4a7c15ull, number}};
  row.service = {{1, service_number}};
  row.slot = slot;
  row.spec_version = 1;
  return row;
}

inline model::Config config(uint64_t number, const std::string& name, size_t bytes = 1) {
  model::Config row;
  row.id = {{2, number}};
  row.spec.name = name;
  row.spec.data = std::string(bytes, 'x');
  return row;
}

inline model::Node node(uint64_t number, const std::string& name, const std::string& hostname) {
  model::Node row;
  row.id = {{3, number}};
  row.spec.name = name;
  row.description.hostname = hostname;
  return row;
}

inline model::RequestId request(uint64_t number) {
  return {{4, number}};
}

// The times of entries, in seconds.
inline model::WallTime at(int64_t seconds) {
  return {1'000'000'000'000 + seconds * 1'000'000'000};
}

// Applies what `change` does to a draft, as the next entry.
template <class Changing>
store::Transaction apply(store::Store& store, model::WallTime time, Changing&& change) {
  store::Draft draft(store);
  change(draft);
  store::Transaction transaction = draft.transaction(time);
  store.apply(store.applied_index() + 1, transaction);
  return transaction;
}

}  // namespace skep::test
