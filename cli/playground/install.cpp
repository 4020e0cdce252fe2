// Finding what stands beside the running program, and copying it.
// SPDX-License-Identifier: Apache-2.0
#include "cli/playground/install.hpp"

#include <unistd.h>

#include <system_error>
#include <vector>

namespace skep::cli::playground {
namespace {

namespace fs = std::filesystem;

Status install(const fs::path& source, const fs::path& target) {
  std::error_code error;
  if (fs::exists(target, error) && fs::equivalent(source, target, error)) return {};
  const fs::path temporary = target.string() + ".new";
  fs::copy_file(source, temporary, fs::copy_options::overwrite_existing, error);
  if (!error && chown(temporary.c_str(), 0, 0) != 0) error = {errno, std::generic_category()};
  if (!error) fs::permissions(temporary, fs::perms(0755), error);
  if (!error) fs::rename(temporary, target, error);
  if (!error) return {};
  return fail(ErrorKind::internal,
              "installing " + source.string() + " as " + target.string() + ": " + error.message());
}

}  // namespace

Status install_programs(const Layout& layout, bool with_skepd) {
  std::error_code error;
  const fs::path self = fs::read_symlink("/proc/self/exe", error);
  const fs::path beside = self.parent_path();
  for (const fs::path& folder : {layout.bin_dir(), layout.plugin_dir()}) {
    fs::create_directories(folder, error);
    if (error) return fail(ErrorKind::internal, folder.string() + ": " + error.message());
  }
  SKEP_TRY(install(self, layout.bin_dir() / "skep"));
  if (!with_skepd) return {};
  if (!fs::exists(beside / "skepd", error)) {
    return fail(ErrorKind::not_found, "there is no skepd beside " + self.string() +
                                          "; build it, or take skep from out/bin");
  }
  for (const char* program : {"skepd", "skep-plugin-host"}) {
    SKEP_TRY(install(beside / program, layout.bin_dir() / program));
  }
  for (const fs::path& plugins : {beside / "../lib/skep/plugins", beside / "../plugins"}) {
    std::vector<fs::path> files;
    for (const fs::directory_entry& entry : fs::directory_iterator(plugins, error)) {
      if (entry.is_regular_file(error)) files.push_back(entry.path());
    }
    for (const fs::path& file : files)
      SKEP_TRY(install(file, layout.plugin_dir() / file.filename()));
    if (!files.empty()) return {};
  }
  return fail(
      ErrorKind::not_found,
      "there are no plugins in " + (beside / "../lib/skep/plugins").lexically_normal().string());
}

}  // namespace skep::cli::playground
