// A volume driver that only remembers, and keeps its volumes over an agent's restart.
//
// It does what the contract allows a driver to do and a careless host would suffer from: what
// restore_done doesn't name is removed with its data, and nothing is served before it.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/asio/io_context.hpp>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "daemon/agent/signal.hpp"
#include "daemon/drivers/volume_driver.hpp"

namespace skep::agent::test {

class FakeVolumeDriver final : public drivers::VolumeDriver {
 public:
  struct Made {
    std::map<std::string, std::string> options;
    std::set<std::string> holders;
    std::string data;  // what its users left
  };

  explicit FakeVolumeDriver(boost::asio::io_context& loop, std::string root)
      : root_(std::move(root)), never_(loop.get_executor()) {}

  Reply<std::string> scope() override;
  Reply<std::string> create(drivers::VolumeRequest request) override;
  Reply<void> remove(std::string volume, std::string handle, bool force) override;
  Reply<drivers::KnownVolume> get(std::string volume) override;
  Reply<drivers::VolumePage> list(int64_t max, std::string token) override;
  Reply<std::string> publish(drivers::VolumeHolding holding) override;
  Reply<void> unpublish(drivers::VolumeHolding holding) override;
  Reply<int64_t> usage(std::string volume) override;
  Reply<void> restore_from(drivers::RestoreSource source) override;
  void forget_source() override { source_ = nullptr; }

  // It is new, and knows of nothing that isn't in `volumes`.
  void start_again() { restored_ = false; }
  // Its process ended and began anew, in the life of one agent.
  void die();
  // What it says of a volume that it was asked to restore a while ago.
  void answer_restore(const std::string& name, const Status& outcome) {
    source_().told(name, outcome);
  }
  // What hangs looks again whether it shall.
  void go_on() { never_.notify(); }

  std::map<std::string, Made> volumes;
  std::map<std::string, Error> refusals;  // of an operation, before it does anything; as long as
                                          // set; "restore NAME": of that volume alone
  std::map<std::string, Error> lost;           // of an operation, after it did everything
  std::set<std::string> hangs_before;          // operations that never do anything
  std::set<std::string> hangs_after;           // operations that do it, and never say so
  std::vector<std::string> calls;              // "publish data by CONTAINER with A,B"
  std::vector<std::string> restored;           // "data with A,B", since the last start
  std::optional<std::set<std::string>> named;  // in the last restore_done
  std::string path_prefix;                     // in front of what publish answers
  int64_t page_size = 2;

 private:
  boost::asio::awaitable<Status> begin(std::string operation);
  boost::asio::awaitable<Status> end(std::string operation);
  void restore(const drivers::RestorePlan& plan);

  std::string root_;
  drivers::RestoreSource source_;
  bool restored_ = false;
  Signal never_;
};

}  // namespace skep::agent::test
