// Docker's options of a local volume, and the sizes it may have.
// SPDX-License-Identifier: Apache-2.0
#include "options.hpp"

#include <sys/mount.h>

#include <catch2/catch.hpp>

namespace skep::volume_local {
namespace {

std::string refusal(const sdk::TextMap& options, std::optional<int64_t> capacity = std::nullopt) {
  try {
    shape_of(options, capacity);
  } catch (const sdk::Failure& failure) {
    CHECK(failure.code() == SKEP_E_INVALID);
    return failure.what();
  }
  return "taken";
}

}  // namespace

TEST_CASE("without options a volume is a folder, with or without a limit") {
  CHECK_FALSE(shape_of({}, {}).mount);
  CHECK_FALSE(shape_of({}, {}).limit_bytes);
  CHECK(shape_of({}, 4096).limit_bytes == 4096);
  CHECK(shape_of({{"size", "10m"}}, {}).limit_bytes == 10 << 20);
  CHECK(shape_of({{"size", "4k"}}, 4096).capacity_bytes == 4096);
}

TEST_CASE("flags of o become flags, the rest goes to the file system") {
  const Shape shape = shape_of(
      {{"type", "tmpfs"}, {"device", "tmpfs"}, {"o", "size=1m,noexec,ro,rw,,uid=5,rshared"}}, {});
  REQUIRE(shape.mount);
  CHECK(shape.mount->type == "tmpfs");
  CHECK(shape.mount->flags == MS_NOEXEC);
  CHECK(shape.mount->propagation == (MS_SHARED | MS_REC));
  CHECK(shape.mount->data == "size=1m,uid=5");
  CHECK_FALSE(shape.limit_bytes);
}

TEST_CASE("a capacity is the size of a tmpfs, and of nothing else that is mounted") {
  const sdk::TextMap tmpfs = {{"type", "tmpfs"}, {"device", "tmpfs"}};
  CHECK(shape_of(tmpfs, 1 << 20).mount->data == "size=1048576");
  CHECK(shape_of(tmpfs, 1 << 20).capacity_bytes == 1 << 20);
  CHECK_FALSE(shape_of(tmpfs, 1 << 20).limit_bytes);
  CHECK(refusal({{"type", "tmpfs"}, {"device", "tmpfs"}, {"o", "uid=1,size=2m"}}, 1 << 20) ==
        "\"capacity_bytes\" and \"options.o\" say a size");
  CHECK(refusal({{"type", "none"}, {"device", "/srv"}, {"o", "bind"}, {"size", "1g"}}) ==
        "\"options.size\": what is mounted from /srv has a size of its own");
}

TEST_CASE("a bind is of an absolute path and has no options of a file system") {
  const Shape shape = shape_of({{"type", "none"}, {"device", "/srv"}, {"o", "bind,ro"}}, {});
  CHECK(shape.mount->bind());
  CHECK(shape.mount->flags == (MS_BIND | MS_RDONLY));
  CHECK(shape_of({{"type", "bind"}, {"device", "/srv"}}, {}).mount->bind());
  CHECK(shape_of({{"type", "none"}, {"device", "/srv"}, {"o", "rbind"}}, {}).mount->flags ==
        (MS_BIND | MS_REC));
  CHECK(refusal({{"type", "none"}, {"device", "/srv"}}) ==
        "\"options.o\" must have \"bind\" where the type is \"none\"");
  CHECK(refusal({{"type", "none"}, {"device", "srv"}, {"o", "bind"}}) ==
        "\"options.device\" must be an absolute path where it is bound");
  CHECK(refusal({{"type", "none"}, {"device", "/srv"}, {"o", "bind,uid=4"}}) ==
        "\"options.o\": a bind has no option \"uid=4\"");
}

TEST_CASE("an option that is unknown, missing or senseless is named") {
  CHECK(refusal({{"colour", "red"}}) == "there is no option \"colour\"");
  CHECK(refusal({{"o", "ro"}}) ==
        "\"options.type\" is missing: what is mounted has a type and a device");
  CHECK(refusal({{"type", "nfs"}}) ==
        "\"options.device\" is missing: what is mounted has a type and a device");
  CHECK(refusal({{"type", "tmpfs"}, {"device", "tmpfs"}, {"o", "remount"}}) ==
        "\"options.o\": a volume is not mounted yet, so no \"remount\"");
  CHECK(refusal({{"type", "tmpfs"}, {"device", "tmpfs"}, {"o", std::string(5000, 'x')}}) ==
        "\"options.o\" is longer than the kernel takes");
  CHECK(refusal({{"size", "much"}}) ==
        "\"options.size\" must be a size of at least one byte, as \"10g\"");
  CHECK(refusal({{"size", "1k"}}, 1000) ==
        "\"options.size\" and \"capacity_bytes\" say different sizes");
}

TEST_CASE("a size is a number with a unit of 1024") {
  CHECK(bytes_of("1") == 1);
  CHECK(bytes_of("1b") == 1);
  CHECK(bytes_of("2k") == 2048);
  CHECK(bytes_of("3MB") == 3 << 20);
  CHECK(bytes_of("1GiB") == int64_t{1} << 30);
  CHECK(bytes_of("4T") == int64_t{4} << 40);
  CHECK(bytes_of("8191p") == int64_t{8191} << 50);
  for (const char* wrong : {"", "0", "0k", "-1", "k", "1.5g", "1x", "1ib", "1kk", "8192p", "1 k",
                            "99999999999999999999"}) {
    CHECK_FALSE(bytes_of(wrong));
  }
}

}  // namespace skep::volume_local
