// What every driver of the upper floor has, whatever its kind: the base operations with their
// defaults, and the macro that makes a plugin of a class.
//
//     class MyVolumes final : public skep::sdk::VolumeDriver { ... };
//     SKEP_PLUGIN(MyVolumes, "my-volumes", "1.0.0", .config_schema = schema);
//
// A driver class overrides what it does. An optional operation that it does not override is not in
// its table at all, so that the host knows; which those are is found out from the class when it is
// compiled. An operation that comes before configure is SKEP_E_PRECONDITION, one after drain
// SKEP_E_UNAVAILABLE.
//
// Methods run on threads of the host: several at once for different objects, one at a time for one
// object (skep/abi.h has the exact words). What objects share needs a lock of the driver's own.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <mutex>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "skep/cpp/driver.hpp"
#include "skep/cpp/members.hpp"

namespace skep::sdk {

// Where a driver lives: folders of its own, absolute and there; the folder of its file; the node's
// name.
struct Place {
  std::string run_dir = {};   // gone at the next boot
  std::string data_dir = {};  // stays
  std::string plugin_dir = {};
  std::string node = {};
};

// Whether a driver can work at this moment.
struct Health {
  enum class State { ready, not_ready, broken };
  State state = State::ready;
  std::string reason = {};  // a sentence, unless ready

  static Health not_ready(std::string reason) { return {State::not_ready, std::move(reason)}; }
  static Health broken(std::string reason) { return {State::broken, std::move(reason)}; }
};

class BaseDriver : public Driver {
 public:
  // Once, before everything else. Throw Failure(SKEP_E_INVALID) that names the member of `config`
  // that is wrong; `config` and the host's schema for it are described in PluginOptions.
  virtual void configure(const Members& config, const Place& place) {
    (void)config;
    (void)place;
  }
  // Cheap; every 10 s.
  virtual Health probe() { return {}; }
  // After the last restore: only now may what nobody named be deleted.
  virtual void restore_done(const std::vector<std::string>& ids) { (void)ids; }
  // New operations are refused from here on without the driver's doing.
  virtual void drain() {}
  virtual void shutdown() {}
  // For a person who debugs. No secrets.
  virtual json dump() { return json::object(); }
  // Optional. SKEP_E_PRECONDITION when the change needs a restart; nothing has changed then.
  virtual void reconfigure(const Members& config) {
    (void)config;
    throw Failure(SKEP_E_UNIMPLEMENTED, "this driver is reconfigured by a restart");
  }

  const void* interface(std::string_view) noexcept final { return nullptr; }

 protected:
  // What a kind's operations begin with.
  void check_in_service() const {
    if (draining_) throw Failure(SKEP_E_UNAVAILABLE, "the driver is being drained");
    if (!configured_) throw Failure(SKEP_E_PRECONDITION, "configure comes before any operation");
  }
  // Taking away what is not there has done its work.
  template <class Take>
  static void absent_is_done(Take&& take) {
    try {
      take();
    } catch (const Failure& failure) {
      if (failure.code() != SKEP_E_NOTFOUND) throw;
    }
  }
  virtual json capabilities_document() = 0;
  virtual void restore_object(const Members& object) = 0;
  virtual void restores_ended(const std::vector<std::string>& ids) { (void)ids; }

  // Method if the class D has its own, not the one inherited from the base of its kind; else NULL.
  template <auto Own, auto Inherited, auto Wrapper>
  static constexpr skep_call if_overridden() {
    return std::is_same_v<decltype(Own), decltype(Inherited)> ? nullptr : skep_call(op<Wrapper>);
  }

  template <class D>
  static const skep_base_1* base_table() {
    static const skep_base_1 table = {
        sizeof table,
        0,
        op<&BaseDriver::call_capabilities>,
        op<&BaseDriver::call_configure>,
        op<&BaseDriver::call_probe>,
        op<&BaseDriver::call_restore>,
        op<&BaseDriver::call_restore_done>,
        op<&BaseDriver::call_drain>,
        op<&BaseDriver::call_shutdown>,
        op<&BaseDriver::call_dump>,
        if_overridden<&D::reconfigure, &BaseDriver::reconfigure, &BaseDriver::call_reconfigure>()};
    return &table;
  }

 private:
  json call_capabilities(const json&) { return capabilities_document(); }
  json call_configure(const json& request) {
    const Members members(request);
    members.with({"config", "run_dir", "data_dir"});
    const Place place = {members.text("run_dir", ""), members.text("data_dir", ""),
                         members.text("plugin_dir", ""), members.text("node", "")};
    const Members config = members.object("config");
    const std::scoped_lock lock(configuring_);
    // A repetition, because the first answer was lost.
    if (configured_ && request == configured_with_) return json::object();
    if (configured_) {
      throw Failure(SKEP_E_PRECONDITION, "the driver is configured; a change comes as reconfigure");
    }
    configure(config, place);
    configured_with_ = request;
    configured_ = true;
    return json::object();
  }
  json call_probe(const json&) {
    const Health health = probe();
    const char* const words[] = {"ready", "not_ready", "broken"};
    return {{"state", words[static_cast<int>(health.state)]}, {"reason", health.reason}};
  }
  json call_restore(const json& request) {
    check_in_service();
    restore_object(Members(request));
    return json::object();
  }
  json call_restore_done(const json& request) {
    check_in_service();
    const std::vector<std::string> ids = Members(request).with({"ids"}).ids("ids");
    restores_ended(ids);
    restore_done(ids);
    return json::object();
  }
  json call_drain(const json&) {
    draining_ = true;
    drain();
    return json::object();
  }
  json call_shutdown(const json&) {
    shutdown();
    return json::object();
  }
  json call_dump(const json&) { return dump(); }
  json call_reconfigure(const json& request) {
    check_in_service();
    reconfigure(Members(request).with({"config"}).object("config"));
    return json::object();
  }

  std::mutex configuring_;
  json configured_with_;
  std::atomic<bool> configured_ = false;
  std::atomic<bool> draining_ = false;
};

// What SKEP_PLUGIN may be told after the version, by name. All texts are literals.
struct PluginOptions {
  const char* vendor = "";
  // JSON Schema of configure's "config" and of the "options" of an object; the host refuses what
  // does not fit before the driver sees it. The default takes no member at all.
  const char* config_schema = R"({"type": "object", "additionalProperties": false})";
  const char* options_schema = nullptr;  // any
  uint32_t flags = 0;                    // SKEP_PLUGIN_*
};

namespace detail {
template <size_t Size>
constexpr size_t append(char (&text)[Size], size_t at, std::string_view part) {
  if (at + part.size() >= Size) throw "the note of this plugin is too long";
  for (const char c : part) text[at++] = c;
  return at;
}

// The same bytes as SKEP_DECLARE_NOTE, with the interfaces that the class has.
consteval skep_note note_of(std::string_view id, std::string_view version,
                            std::string_view interfaces) {
  skep_note note = {5, SKEP_NOTE_DESC_SIZE, SKEP_NOTE_TYPE, "skep", {}};
  size_t at = append(note.desc, 0,
                     "abi=" SKEP_STR(SKEP_ABI_MAJOR) "." SKEP_STR(SKEP_ABI_MINOR) ";host=" SKEP_STR(
                         SKEP_ABI_TARGET_MINOR) ";id=");
  at = append(note.desc, at, id);
  at = append(note.desc, at, ";ver=");
  at = append(note.desc, at, version);
  at = append(note.desc, at, ";ifs=");
  append(note.desc, at, interfaces);
  return note;
}

template <class D>
constexpr skep_plugin plugin_of(const char* id, const char* version, const PluginOptions& options) {
  return {sizeof(skep_plugin),
          SKEP_ABI_MAJOR,
          SKEP_ABI_MINOR,
          SKEP_ABI_TARGET_MINOR,
          id,
          version,
          options.vendor,
          D::plugin_interfaces,
          options.config_schema,
          make_instance<D>,
          options.flags,
          0,
          options.options_schema};
}
}  // namespace detail

}  // namespace skep::sdk

// Makes the library a plugin: note, descriptor and the one exported function. Once in a library,
// outside of every namespace. After the version: members of PluginOptions, as `.vendor = "me"`.
#define SKEP_PLUGIN(Class, ID, VERSION, ...)                                                       \
  __attribute__((used, aligned(4), section(".note.skep"))) static constexpr skep_note skep_note_ = \
      ::skep::sdk::detail::note_of(ID, VERSION, Class::plugin_interfaces);                         \
  const skep_plugin* skep_plugin_query(void) {                                                     \
    static const skep_plugin plugin = ::skep::sdk::detail::plugin_of<Class>(                       \
        ID, VERSION, ::skep::sdk::PluginOptions{__VA_ARGS__});                                     \
    return &plugin;                                                                                \
  }                                                                                                \
  extern "C" SKEP_EXPORT const skep_plugin* skep_plugin_query(void)
