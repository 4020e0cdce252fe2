// Lock, look, copy, move.
// SPDX-License-Identifier: Apache-2.0
#include "runtime-containerd/populate.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <exception>
#include <future>
#include <optional>
#include <thread>
#include <vector>

#include "runtime-containerd/populate_record.hpp"
#include "runtime-containerd/populate_view.hpp"

namespace skep::containerd {
namespace {

namespace fs = std::filesystem;
using sdk::Failure;
using Begun = FillingRecords::Filling;

constexpr std::chrono::milliseconds check_interval{50};

// One filling, on a thread of its own.
class Work {
 public:
  Work(const Filling& filling, int folder, const FillingRecords& records, const Stop& stop)
      : filling_(filling), folder_(folder), records_(records), stop_(stop) {}

  void run() {
    lock_.emplace(records_.lock(folder_, stop_));
    if (const std::optional<Begun> begun = records_.find(filling_.folder)) {
      if (begun->moving) {
        move_up(*begun);
      } else {
        take_back(*begun);  // a crash cut it off, or its end
      }
    }
    // Also after that: the volume may have been made anew since.
    if (!names_in(folder_).empty() || !view().has_source()) return;
    Begun begun = records_.begin(filling_.folder);
    try {
      gather(begun);
    } catch (const Failure&) {
      give_back(begun);
      throw;
    }
    if (names_in(folder_) != std::vector<std::string>{begun.name}) {
      return take_back(begun);  // somebody else's data came meanwhile, and stays alone
    }
    records_.set_moving(begun);
    move_up(begun);
  }

 private:
  const FillingView& view() {
    if (!view_) view_.emplace(filling_.state, filling_.layers, filling_.target, filling_.folder);
    return *view_;
  }

  void gather(const Begun& begun) {
    if (mkdirat(folder_, begun.name.c_str(), 0700) != 0) throw filling_failed(begun.name);
    view().copy_to(begun.name, filling_.copier, *lock_, stop_);
    stop_.check();
    if (syncfs(folder_) != 0) throw filling_failed("sync");
  }

  void take_back(const Begun& begun) {
    view().remove(begun.name, *lock_, stop_);
    records_.end(begun);
  }

  // At once, so that a volume that was too small isn't left full. What does not work now, as when
  // nobody waits any more, is the next call's to do: the record is still there.
  void give_back(const Begun& begun) {
    try {
      take_back(begun);
    } catch (const Failure&) {
      return;
    }
  }

  // May be cut off and begun again.
  void move_up(const Begun& begun) {
    const File whole(
        openat(folder_, begun.name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!whole && errno == ENOENT) return records_.end(begun);  // it was the last step
    if (!whole) throw filling_failed(begun.name);
    struct stat of {};
    if (fstat(whole.number(), &of) != 0 || fchown(folder_, of.st_uid, of.st_gid) != 0 ||
        fchmod(folder_, of.st_mode & 07777) != 0) {
      throw filling_failed("its owner and mode");
    }
    bool all = true;
    for (const std::string& name : names_in(whole.number())) {
      stop_.check();
      all = move_if_free(whole.number(), folder_, name) && all;
    }
    if (!all) return take_back(begun);
    if (unlinkat(folder_, begun.name.c_str(), AT_REMOVEDIR) != 0) throw filling_failed(begun.name);
    records_.end(begun);
  }

  const Filling& filling_;
  const int folder_;
  const FillingRecords& records_;
  const Stop& stop_;
  std::optional<File> lock_;
  std::optional<FillingView> view_;
};

}  // namespace

void populate(const Filling& filling) {
  if (filling.layers.empty()) return;
  const File folder(open(filling.folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!folder) throw filling_failed(filling.folder);
  const FillingRecords records(filling.state);
  const Stop stop;
  std::exception_ptr unwanted;
  std::packaged_task<void()> work([&] { Work(filling, folder.number(), records, stop).run(); });
  std::future<void> outcome = work.get_future();
  std::thread thread(std::move(work));
  while (outcome.wait_for(check_interval) != std::future_status::ready) {
    if (unwanted) continue;
    try {
      filling.check();
    } catch (const std::exception&) {
      unwanted = std::current_exception();
      stop.tell();
    }
  }
  thread.join();
  try {
    outcome.get();
  } catch (const Failure& failure) {
    if (unwanted && failure.code() == SKEP_E_CANCELLED) std::rethrow_exception(unwanted);
    throw;
  }
}

}  // namespace skep::containerd
