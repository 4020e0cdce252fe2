// One life of a driver's process: from its start to the moment it is lost, which comes once and
// ends every call in flight.
//
// The socket is watched on the loop, so a call costs no thread hop. What this adds to host::Helper
// is patience with a bound: a call that is not ended half a second after its deadline costs the
// process its life (a hanging thread can't be taken back any other way), unless the operation is
// one that may take any time. A process that is killed and does not end all the same (a disk that
// does not answer holds it in the kernel) is lost two seconds later, and left behind.
//
// Does not start anything anew; that is the supervisor's. Everything on the loop.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/model/result.hpp"
#include "daemon/drivers/body.hpp"
#include "sdk/host/helper.hpp"

namespace skep::drivers {

class HelperLife final : public Callee,
                         private host::HelperEvents,
                         public std::enable_shared_from_this<HelperLife> {
 public:
  // Told once, on the loop, never from inside a call of this class; the calls have been ended.
  using OnLost = std::function<void(const std::shared_ptr<HelperLife>& life)>;

  static Result<std::shared_ptr<HelperLife>> begin(boost::asio::any_io_executor loop,
                                                   const host::CheckedFile& file,
                                                   const host::PluginIdentity& identity,
                                                   const host::HelperOptions& options,
                                                   std::shared_ptr<CallTable> table,
                                                   OnLost on_lost);
  ~HelperLife() override;

  // Until the library stands. Errors: its refusal (told as the kind it came with);
  // ErrorKind::plugin_lost when the process died over it; "init_timed_out: ..." as plugin_lost too.
  boost::asio::awaitable<Status> stands(std::chrono::milliseconds patience);

  void start(std::shared_ptr<PendingCall> call) override;
  void give_up(uint64_t number) override;
  const std::vector<const host::Operation*>& present() const { return present_; }
  const DriverFacts& facts() const { return facts_; }
  void set_log_level(int32_t level);
  // Until no call that reads or changes is in flight, or `patience` is over.
  boost::asio::awaitable<void> quiet(std::chrono::milliseconds patience);
  // Asks it to end and waits for it; kills it when `patience` is over. Calls in flight end with
  // ErrorKind::plugin_lost and `reason`. on_lost is not told.
  boost::asio::awaitable<void> end(std::string reason, std::chrono::milliseconds patience);
  // `reason` says why the calls in flight are lost.
  void kill(std::string reason);
  // Kills and reaps the process before it returns; on_lost is not told. What is in flight is the
  // caller's to end.
  void drop();

  bool is_lost() const { return lost_; }
  // How it was lost, for a person: "killed by signal 9 (Killed)".
  const std::string& how() const { return how_; }
  pid_t pid() const;
  std::chrono::steady_clock::time_point begun() const { return begun_; }

 private:
  struct InFlight {
    std::shared_ptr<PendingCall> call;
    std::unique_ptr<boost::asio::steady_timer> last_patience;  // once nobody waits
  };

  HelperLife(boost::asio::any_io_executor loop, std::shared_ptr<CallTable> table, OnLost on_lost);
  void attach(std::unique_ptr<host::Helper> helper);
  void watch();
  void detach();
  void end_calls(const std::string& how);
  void leave_behind();
  boost::asio::awaitable<void> change(std::chrono::steady_clock::time_point until);

  void ready(const std::vector<const host::Operation*>& present, std::string_view config_schema,
             std::string_view options_schema, uint32_t flags) override;
  void refused(Error reason) override;
  void completed(uint64_t number, skep_status status, std::string_view reply,
                 std::string_view error) override;
  void emitted(uint64_t number, std::string_view item) override;
  void logged(uint64_t number, int32_t level, std::string_view message) override;
  void printed(std::string_view line) override;
  void metric(std::string_view name, int64_t value, bool set) override;
  void lost(std::string_view how) override;

  boost::asio::any_io_executor loop_;
  std::shared_ptr<CallTable> table_;
  OnLost on_lost_;  // empty once told, or not to be told
  std::unique_ptr<host::Helper> helper_;
  std::optional<boost::asio::posix::stream_descriptor> socket_;  // the helper owns the descriptor
  bool ready_ = false;
  std::optional<Error> refused_;
  std::vector<const host::Operation*> present_;
  DriverFacts facts_;
  std::unordered_map<uint64_t, InFlight> in_flight_;
  boost::asio::steady_timer dying_;    // once killed
  boost::asio::steady_timer changed_;  // never expires; cancelled when something changes
  std::chrono::steady_clock::time_point begun_ = std::chrono::steady_clock::now();
  std::string kill_reason_;
  bool ending_ = false;  // end() was asked for
  bool lost_ = false;
  std::string how_;
};

}  // namespace skep::drivers
