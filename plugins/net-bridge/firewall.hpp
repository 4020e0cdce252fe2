// The way out: packets of our subnets that leave by another link than their bridge take the node's
// address.
//
// One table for each plugin of this driver, replaced as a whole in one transaction whenever the set
// of networks changes; nothing else in the rule set is touched. Existing flows do not notice,
// because the kernel's connection table remembers their translation. Throws sdk::Failure.
// Thread-safe.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <vector>

struct nft_ctx;

namespace skep::net_bridge {

class Firewall {
 public:
  struct Rule {
    std::string subnet;
    std::string bridge;
  };

  // In the namespace of the calling thread. `table` is the table's name, a word for nftables.
  explicit Firewall(std::string table);
  ~Firewall();
  Firewall(const Firewall&) = delete;
  Firewall& operator=(const Firewall&) = delete;

  // Makes the table hold exactly these; without any, the table goes.
  void apply(const std::vector<Rule>& rules);
  // The table as the kernel has it; empty when there is none.
  std::string dump();
  // "table ip NAME".
  const std::string& table() const { return table_; }

 private:
  struct Free {
    void operator()(nft_ctx* context) const;
  };
  void run(const std::string& commands);

  const std::string table_;
  std::mutex mutex_;
  std::unique_ptr<nft_ctx, Free> context_;
};

}  // namespace skep::net_bridge
