// libnftables in its text form.
// SPDX-License-Identifier: Apache-2.0
#include "firewall.hpp"

#include <nftables/libnftables.h>

#include <utility>

#include "skep/cpp/driver.hpp"

namespace skep::net_bridge {

using sdk::Failure;

void Firewall::Free::operator()(nft_ctx* context) const {
  nft_ctx_free(context);
}

Firewall::Firewall(std::string table)
    : table_("table ip " + std::move(table)), context_(nft_ctx_new(NFT_CTX_DEFAULT)) {
  if (!context_ || nft_ctx_buffer_output(context_.get()) != 0 ||
      nft_ctx_buffer_error(context_.get()) != 0) {
    throw Failure(SKEP_E_INTERNAL, "libnftables can't be set up");
  }
}

Firewall::~Firewall() = default;

void Firewall::run(const std::string& commands) {
  const int result = nft_run_cmd_from_buffer(context_.get(), commands.c_str());
  // Reading the buffer also empties it, so it is read in both cases.
  const std::string reason = nft_ctx_get_error_buffer(context_.get());
  if (result != 0) {
    throw Failure(SKEP_E_UNAVAILABLE,
                  "nftables refused the rules: " + reason.substr(0, reason.find('\n')));
  }
}

void Firewall::apply(const std::vector<Rule>& rules) {
  // Adding before deleting makes the deletion succeed whether or not the table was there.
  std::string commands = "add " + table_ + "\ndelete " + table_ + "\n";
  if (!rules.empty()) {
    commands += table_ +
                " {\n chain postrouting {\n"
                "  type nat hook postrouting priority 100; policy accept;\n";
    for (const Rule& rule : rules) {
      commands += "  ip saddr " + rule.subnet + " oifname != \"" + rule.bridge + "\" masquerade\n";
    }
    commands += " }\n}\n";
  }
  const std::lock_guard lock(mutex_);
  run(commands);
}

std::string Firewall::dump() {
  const std::lock_guard lock(mutex_);
  const int result = nft_run_cmd_from_buffer(context_.get(), ("list " + table_).c_str());
  std::string text = nft_ctx_get_output_buffer(context_.get());
  static_cast<void>(nft_ctx_get_error_buffer(context_.get()));
  return result == 0 ? text : std::string();
}

}  // namespace skep::net_bridge
