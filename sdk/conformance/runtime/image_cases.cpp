// The images of the node. The profile's "pull_image" can be fetched and isn't there at first; a
// case takes away again what it pulled.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "sdk/conformance/runtime/runtime_kind.hpp"

namespace skep::conformance {
namespace {

constexpr int64_t pull_patience_ms = 60'000;

// The image that can be pulled; skips without one.
Result<std::string> pullable(Run& run, Driver& driver) {
  const json facts = run.fact("runtime", json::object());
  if (!driver.has(runtime_images("pull"))) {
    SKEP_TRY(run.skip("the driver keeps no images"));
  }
  if (!facts.contains("pull_image")) {
    SKEP_TRY(run.skip("the profile names no image to pull: {\"runtime\": {\"pull_image\": ..}}"));
  }
  return facts.at("pull_image").get<std::string>();
}

Outcome pulled(Driver& driver, const std::string& image) {
  CallOptions options;
  options.patience_ms = pull_patience_ms;
  return driver.call(runtime_images("pull"), {{"image", image}}, options);
}

Status pull(Run& run) {
  SKEP_TRY_ASSIGN(Driver* const driver, run.started());
  SKEP_TRY_ASSIGN(const std::string image, pullable(run, *driver));
  const json named{{"image", image}};
  SKEP_TRY(run.fails_naming(driver->call(runtime_images("inspect"), named), {SKEP_E_NOTFOUND},
                            "No such image: " + image));
  const Outcome got = pulled(*driver, image);
  SKEP_TRY(run.ok(got));
  const Outcome seen = driver->call(runtime_images("inspect"), named);
  SKEP_TRY(run.ok(seen));
  SKEP_TRY(run.that(seen.member("id") == got.member("id"), "the image that pull told of",
                    described(seen), seen));
  SKEP_TRY(run.that(seen.member("size") > 0 && seen.member("tags").size() == 1,
                    "its size and its one tag", described(seen), seen));
  const Outcome removed =
      driver->call(runtime_images("remove"), {{"image", image}, {"force", false}});
  SKEP_TRY(run.ok(removed));
  SKEP_TRY(run.that(removed.member("deleted") == json::array({seen.member("id")}),
                    "the id among the deleted", described(removed), removed));
  return run.fails(driver->call(runtime_images("inspect"), named), {SKEP_E_NOTFOUND});
}

Status pull_missing(Run& run) {
  SKEP_TRY_ASSIGN(Driver* const driver, run.started());
  SKEP_TRY_ASSIGN(std::string image, pullable(run, *driver));
  const size_t name_end = image.rfind('/');
  image = image.substr(0, name_end) + "/no-such-image:9";
  return run.fails_naming(pulled(*driver, image), {SKEP_E_NOTFOUND, SKEP_E_DENIED},
                          "no-such-image");
}

// A container of the image keeps it.
Status remove_used(Run& run) {
  SKEP_TRY(runtime_possible(run));
  SKEP_TRY_ASSIGN(Driver* const driver, run.started());
  if (!driver->has(runtime_images("remove"))) return run.skip("the driver keeps no images");
  SKEP_TRY_ASSIGN(const json request, container_request(run, 0, "true"));
  SKEP_TRY(run.ok(driver->call(runtime("create"), request)));
  const json image{{"image", request.at("image")}, {"force", false}};
  SKEP_TRY_ASSIGN(const std::vector<std::string> all, run.kind().existing(run, *driver));
  // It may be another container's that is there beside ours.
  const std::string user = all.size() == 1 ? all.front() : "container";
  SKEP_TRY(run.fails_naming(driver->call(runtime_images("remove"), image), {SKEP_E_BUSY}, user));
  return remove_container(run, *driver, request.at("id"));
}

Status listed(Run& run) {
  SKEP_TRY(runtime_possible(run));
  SKEP_TRY_ASSIGN(Driver* const driver, run.started());
  if (!driver->has(runtime_images("list"))) return run.skip("the driver keeps no images");
  const json name = run.fact("runtime").at("image");
  const Outcome all = driver->call(runtime_images("list"), json::object());
  SKEP_TRY(run.ok(all));
  const Outcome one = driver->call(runtime_images("inspect"), {{"image", name}});
  SKEP_TRY(run.ok(one));
  for (const json& image : all.member("images")) {
    if (image == one.reply) return {};
  }
  return run.that(false, "the profile's image in the list, as inspect shows it", described(all),
                  all);
}

}  // namespace

std::vector<Case> runtime_image_cases() {
  const Rule pull_rule{"runtime.h images.pull",
                       "ends with the image; missing is NOTFOUND, wrong credentials are DENIED"};
  const Rule remove_rule{"runtime.h images.remove",
                         "used by a container is BUSY and names the container"};
  std::vector<Case> cases{
      {"runtime.image.pull", "an image is pulled, looked at and removed", {pull_rule}, pull},
      {"runtime.image.pull-missing",
       "an image that nobody has is told by name",
       {pull_rule},
       pull_missing},
      {"runtime.image.remove-used",
       "an image that a container uses stays",
       {remove_rule},
       remove_used},
      {"runtime.image.listed", "list and inspect tell the same", {rule(9)}, listed},
  };
  cases.front().limit_s = 120;
  return cases;
}

}  // namespace skep::conformance
