// Links, addresses and routes of one network namespace, over one netlink socket that stays open.
//
// A socket belongs to the namespace in which it was opened, whoever uses it later. So work inside a
// container needs no thread that lives there: a short-lived thread enters the namespace, opens the
// socket and ends, and nobody else's thread ever changes its namespace.
//
// Every function throws sdk::Failure. Thread-safe: one request at a time.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

struct nl_sock;
struct rtnl_link;

namespace skep::net_bridge {

struct LinkInfo {
  int index = 0;
  std::string name;
  std::string kind;  // "bridge", "veth", or empty
  std::string mac;   // lower case
  int master = 0;    // index of the bridge it is a port of, 0: none
  bool up = false;
  uint32_t mtu = 0;
  bool ours = false;    // made by this Netlink's maker
  bool others = false;  // made by another one
  std::string alias;    // a text of its maker's
};

// A maker's mark on the links it made, which the kernel sets together with making them, so that a
// crash can't come between. It is made of the maker's name: two on one node never take each other's
// links for their own.
struct LinkGroup {
  uint32_t number = 0;  // 0: makes no links
};
LinkGroup link_group(const std::string& maker);

// Both ends of a pair; the far one is made inside the namespace `netns`.
struct VethRequest {
  std::string name;
  int bridge = 0;  // index
  std::string peer_name;
  std::string peer_mac;
  int netns = -1;  // descriptor, borrowed
  uint32_t mtu = 0;
};

class Netlink {
 public:
  // In the namespace of the calling thread.
  explicit Netlink(LinkGroup own);
  // In the namespace that `netns` (a descriptor, borrowed) refers to.
  explicit Netlink(int netns);
  ~Netlink();
  Netlink(const Netlink&) = delete;
  Netlink& operator=(const Netlink&) = delete;

  std::optional<LinkInfo> link(const std::string& name);
  std::vector<LinkInfo> ports(int bridge);
  // Bridges that make_bridge() made for this maker, in whichever process.
  std::vector<LinkInfo> own_bridges();

  // An up bridge with a fixed MAC; takes over one that exists, and refuses another kind of link
  // (EXISTS) and another maker's bridge (PRECONDITION). One that it makes is marked as ours, and
  // gets the alias.
  int make_bridge(const std::string& name, const std::string& mac, uint32_t mtu,
                  const std::string& alias);
  // The near end is up and marked as ours at once, the far one is not. EXISTS when `name` or
  // `peer_name` is taken.
  void make_veth(const VethRequest& request);
  // Gone already is success.
  void remove_link(const std::string& name);
  void set_up(int index);
  // Makes a link a port of a bridge, also when it is one of another.
  void make_port(int link, int bridge);
  // Present already is success.
  void add_address(int index, const std::string& cidr);
  void add_default_route(int index, const std::string& gateway);

 private:
  struct Close {
    void operator()(nl_sock* socket) const;
  };
  std::vector<LinkInfo> links();
  LinkInfo describe(rtnl_link* link) const;

  const LinkGroup own_;
  std::mutex mutex_;
  std::unique_ptr<nl_sock, Close> socket_;
};

}  // namespace skep::net_bridge
