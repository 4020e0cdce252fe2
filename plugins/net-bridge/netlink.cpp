// libnl-route behind a small face.
// SPDX-License-Identifier: Apache-2.0
#include "netlink.hpp"

#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netlink/errno.h>
#include <netlink/netlink.h>
#include <netlink/route/addr.h>
#include <netlink/route/link.h>
#include <netlink/route/link/bridge.h>
#include <netlink/route/link/veth.h>
#include <netlink/route/nexthop.h>
#include <netlink/route/route.h>
#include <sched.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <string_view>
#include <thread>

#include "skep/cpp/driver.hpp"

namespace skep::net_bridge {
namespace {

using sdk::Failure;

template <auto Free>
struct Freer {
  template <class T>
  void operator()(T* object) const {
    Free(object);
  }
};
using Link = std::unique_ptr<rtnl_link, Freer<rtnl_link_put>>;
using Address = std::unique_ptr<nl_addr, Freer<nl_addr_put>>;
using LinkAddress = std::unique_ptr<rtnl_addr, Freer<rtnl_addr_put>>;
using Route = std::unique_ptr<rtnl_route, Freer<rtnl_route_put>>;
using Cache = std::unique_ptr<nl_cache, Freer<nl_cache_free>>;

[[noreturn]] void throw_failure(const std::string& what, int error) {
  skep_status code = SKEP_E_INTERNAL;
  if (-error == NLE_PERM) code = SKEP_E_DENIED;
  if (-error == NLE_EXIST) code = SKEP_E_EXISTS;
  if (-error == NLE_NODEV || -error == NLE_OBJ_NOTFOUND) code = SKEP_E_NOTFOUND;
  throw Failure(code, what + ": " + nl_geterror(error));
}

// The sentence is put together only when it is needed: what went well can't fail for want of
// memory.
void require(int result, std::string_view what, std::string_view subject = {}) {
  if (result < 0) throw_failure(std::string(what) + std::string(subject), result);
}

template <class T>
T checked(T object) {
  if (!object) throw Failure(SKEP_E_INTERNAL, "no memory for a netlink request");
  return object;
}

bool absent(int error) {
  return -error == NLE_NODEV || -error == NLE_OBJ_NOTFOUND;
}

Address parse(const std::string& text, int family) {
  nl_addr* address = nullptr;
  require(nl_addr_parse(text.c_str(), family, &address), "the address ", text);
  return Address(address);
}

// What all makers' groups begin with ("s"); the rest tells them apart.
constexpr uint32_t group_family = 0x73000000;
constexpr uint32_t group_family_mask = 0xff000000;

nl_sock* open_socket() {
  nl_sock* socket = nl_socket_alloc();
  if (socket == nullptr) throw Failure(SKEP_E_INTERNAL, "no memory for a netlink socket");
  const int error = nl_connect(socket, NETLINK_ROUTE);
  if (error < 0) {
    nl_socket_free(socket);
    throw_failure("netlink", error);
  }
  return socket;
}

}  // namespace

LinkGroup link_group(const std::string& maker) {
  uint32_t hash = 0x811c9dc5u;  // FNV-1a
  for (const char c : maker) hash = (hash ^ static_cast<unsigned char>(c)) * 0x01000193u;
  return {group_family | ((hash ^ (hash >> 24)) & ~group_family_mask)};
}

LinkInfo Netlink::describe(rtnl_link* link) const {
  LinkInfo info;
  info.index = rtnl_link_get_ifindex(link);
  info.name = rtnl_link_get_name(link);
  if (const char* kind = rtnl_link_get_type(link)) info.kind = kind;
  if (nl_addr* mac = rtnl_link_get_addr(link)) {
    std::array<char, 64> buffer{};
    info.mac = nl_addr2str(mac, buffer.data(), buffer.size());
  }
  info.master = rtnl_link_get_master(link);
  info.up = (rtnl_link_get_flags(link) & IFF_UP) != 0;
  info.mtu = rtnl_link_get_mtu(link);
  const uint32_t group = rtnl_link_get_group(link);
  info.ours = own_.number != 0 && group == own_.number;
  info.others = !info.ours && (group & group_family_mask) == group_family;
  if (const char* alias = rtnl_link_get_ifalias(link)) info.alias = alias;
  return info;
}

void Netlink::Close::operator()(nl_sock* socket) const {
  nl_socket_free(socket);
}

Netlink::Netlink(LinkGroup own) : own_(own), socket_(open_socket()) {}

Netlink::Netlink(int netns) {
  std::exception_ptr failure;
  std::thread visitor([&] {
    try {
      if (setns(netns, CLONE_NEWNET) != 0) {
        throw Failure(SKEP_E_INTERNAL,
                      std::string("the network namespace can't be entered: ") + strerror(errno));
      }
      socket_.reset(open_socket());
    } catch (const std::exception&) {
      failure = std::current_exception();
    }
  });
  visitor.join();
  if (failure) std::rethrow_exception(failure);
}

Netlink::~Netlink() = default;

std::optional<LinkInfo> Netlink::link(const std::string& name) {
  const std::lock_guard lock(mutex_);
  rtnl_link* found = nullptr;
  const int error = rtnl_link_get_kernel(socket_.get(), 0, name.c_str(), &found);
  if (absent(error)) return std::nullopt;
  require(error, "the link ", name);
  const Link owner(found);
  return describe(found);
}

std::vector<LinkInfo> Netlink::links() {
  const std::lock_guard lock(mutex_);
  nl_cache* list = nullptr;
  require(rtnl_link_alloc_cache(socket_.get(), AF_UNSPEC, &list), "the list of links");
  const Cache owner(list);
  std::vector<LinkInfo> found;
  for (nl_object* entry = nl_cache_get_first(list); entry != nullptr;
       entry = nl_cache_get_next(entry)) {
    found.push_back(describe(reinterpret_cast<rtnl_link*>(entry)));
  }
  return found;
}

std::vector<LinkInfo> Netlink::ports(int bridge) {
  std::vector<LinkInfo> found = links();
  std::erase_if(found, [bridge](const LinkInfo& info) { return info.master != bridge; });
  return found;
}

std::vector<LinkInfo> Netlink::own_bridges() {
  std::vector<LinkInfo> found = links();
  std::erase_if(found, [](const LinkInfo& info) { return info.kind != "bridge" || !info.ours; });
  return found;
}

int Netlink::make_bridge(const std::string& name, const std::string& mac, uint32_t mtu,
                         const std::string& alias) {
  std::optional<LinkInfo> existing = link(name);
  if (!existing) {
    const std::lock_guard lock(mutex_);
    const Link bridge(checked(rtnl_link_bridge_alloc()));
    rtnl_link_set_name(bridge.get(), name.c_str());
    rtnl_link_set_mtu(bridge.get(), mtu);
    rtnl_link_set_group(bridge.get(), own_.number);
    // A bridge with a MAC of its own keeps it; else it would change with each port.
    const Address address = parse(mac, AF_LLC);
    rtnl_link_set_addr(bridge.get(), address.get());
    require(rtnl_link_add(socket_.get(), bridge.get(), NLM_F_CREATE | NLM_F_EXCL), "the bridge ",
            name);
  }
  if (!existing) existing = link(name);
  if (!existing) throw Failure(SKEP_E_INTERNAL, "the bridge " + name + " vanished");
  if (existing->kind != "bridge") {
    throw Failure(SKEP_E_EXISTS, "a link named " + name + " exists and is no bridge");
  }
  if (existing->others) {
    throw Failure(SKEP_E_PRECONDITION, "bridge " + name +
                                           " belongs to another plugin of this driver; set another"
                                           " name in config.bridge");
  }
  if (existing->ours && existing->alias != alias) {
    const std::lock_guard lock(mutex_);
    const Link bridge(checked(rtnl_link_alloc()));
    const Link change(checked(rtnl_link_alloc()));
    rtnl_link_set_ifindex(bridge.get(), existing->index);
    rtnl_link_set_ifalias(change.get(), alias.c_str());
    require(rtnl_link_change(socket_.get(), bridge.get(), change.get(), 0), "the alias of ", name);
  }
  set_up(existing->index);
  return existing->index;
}

void Netlink::make_veth(const VethRequest& request) {
  const std::lock_guard lock(mutex_);
  const Link near(checked(rtnl_link_veth_alloc()));
  rtnl_link_set_name(near.get(), request.name.c_str());
  rtnl_link_set_mtu(near.get(), request.mtu);
  rtnl_link_set_master(near.get(), request.bridge);
  rtnl_link_set_flags(near.get(), IFF_UP);
  rtnl_link_set_group(near.get(), own_.number);
  const Link far(checked(rtnl_link_veth_get_peer(near.get())));
  rtnl_link_set_name(far.get(), request.peer_name.c_str());
  rtnl_link_set_mtu(far.get(), request.mtu);
  const Address mac = parse(request.peer_mac, AF_LLC);
  rtnl_link_set_addr(far.get(), mac.get());
  // Not up yet: the kernel brings the far end up before it knows its partner, and fails with
  // ENOTCONN.
  rtnl_link_set_ns_fd(far.get(), request.netns);
  require(rtnl_link_add(socket_.get(), near.get(), NLM_F_CREATE | NLM_F_EXCL), "the link ",
          request.name);
}

void Netlink::remove_link(const std::string& name) {
  const std::lock_guard lock(mutex_);
  const Link link(checked(rtnl_link_alloc()));
  rtnl_link_set_name(link.get(), name.c_str());
  const int error = rtnl_link_delete(socket_.get(), link.get());
  if (!absent(error)) require(error, "removing the link ", name);
}

void Netlink::set_up(int index) {
  const std::lock_guard lock(mutex_);
  const Link link(checked(rtnl_link_alloc()));
  const Link change(checked(rtnl_link_alloc()));
  rtnl_link_set_ifindex(link.get(), index);
  rtnl_link_set_flags(change.get(), IFF_UP);
  require(rtnl_link_change(socket_.get(), link.get(), change.get(), 0), "setting a link up");
}

void Netlink::make_port(int link, int bridge) {
  const std::lock_guard lock(mutex_);
  require(rtnl_link_enslave_ifindex(socket_.get(), bridge, link), "making a link a bridge's port");
}

void Netlink::add_address(int index, const std::string& cidr) {
  const std::lock_guard lock(mutex_);
  const LinkAddress address(checked(rtnl_addr_alloc()));
  const Address local = parse(cidr, AF_INET);
  rtnl_addr_set_ifindex(address.get(), index);
  require(rtnl_addr_set_local(address.get(), local.get()), "the address ", cidr);
  const int error = rtnl_addr_add(socket_.get(), address.get(), NLM_F_CREATE | NLM_F_EXCL);
  if (-error != NLE_EXIST) require(error, "the address ", cidr);
}

void Netlink::add_default_route(int index, const std::string& gateway) {
  const std::lock_guard lock(mutex_);
  const Route route(checked(rtnl_route_alloc()));
  const Address everywhere = parse("0.0.0.0/0", AF_INET);
  const Address via = parse(gateway, AF_INET);
  require(rtnl_route_set_dst(route.get(), everywhere.get()), "the default route");
  require(rtnl_route_set_family(route.get(), AF_INET), "the default route");
  rtnl_route_set_table(route.get(), RT_TABLE_MAIN);
  rtnl_route_set_protocol(route.get(), RTPROT_STATIC);
  rtnl_route_set_scope(route.get(), RT_SCOPE_UNIVERSE);
  rtnl_nexthop* hop = checked(rtnl_route_nh_alloc());
  rtnl_route_nh_set_ifindex(hop, index);
  rtnl_route_nh_set_gateway(hop, via.get());
  rtnl_route_add_nexthop(route.get(), hop);  // takes over `hop`
  const int error = rtnl_route_add(socket_.get(), route.get(), NLM_F_CREATE | NLM_F_REPLACE);
  if (-error != NLE_EXIST) require(error, "the default route via ", gateway);
}

}  // namespace skep::net_bridge
