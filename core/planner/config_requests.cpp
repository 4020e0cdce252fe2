// Requests about configs, each checked in full before the row is put.
// SPDX-License-Identifier: Apache-2.0
#include "core/planner/config_requests.hpp"

#include "core/store/transaction_codec.hpp"

namespace skep::planner {
namespace {

Status fits_an_entry(const model::Config& config) {
  const size_t size = store::encoded_bytes(store::upsert(config));
  if (size <= kConfigRowBytesMax) return {};
  return fail(ErrorKind::too_large, "a config of " + std::to_string(size) +
                                        " bytes with its labels is over the limit of " +
                                        std::to_string(kConfigRowBytesMax));
}

tl::unexpected<Error> no_config(model::ConfigId id) {
  return fail(ErrorKind::not_found, "config " + id.str() + " not found");
}

}  // namespace

Result<model::ConfigId> create_config(store::Draft& draft, model::ConfigSpec spec,
                                      model::IdSource& ids) {
  SKEP_TRY(model::validate_config_spec(spec));
  if (draft.config_by_name(spec.name)) {
    return fail(ErrorKind::conflict,
                "name conflicts with an existing object: config " + spec.name + " already exists");
  }
  model::Config config;
  config.id = model::ConfigId{ids.next()};
  config.spec = std::move(spec);
  SKEP_TRY(fits_an_entry(config));
  const model::ConfigId id = config.id;
  draft.put(std::move(config));
  return id;
}

Status update_config(store::Draft& draft, model::ConfigId id, uint64_t version,
                     model::ConfigSpec spec) {
  const store::Row<model::Config> config = draft.config(id);
  if (!config) return no_config(id);
  if (config->meta.version != version || draft.touched(id)) {
    return fail(ErrorKind::conflict, "update out of sequence");
  }
  SKEP_TRY(model::validate_config_spec(spec));
  model::Config updated = *config;
  updated.spec.labels = spec.labels;
  if (updated.spec != spec) {
    return fail(ErrorKind::invalid, "only the labels of a config can be changed");
  }
  SKEP_TRY(fits_an_entry(updated));
  draft.put(std::move(updated));
  return {};
}

Status remove_config(store::Draft& draft, model::ConfigId id) {
  if (!draft.config(id)) return no_config(id);
  draft.erase(id);
  return {};
}

}  // namespace skep::planner
