// Asking, repeating, giving up; see the header.
// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/clients.hpp"

#include <algorithm>

#include "tests/sim/world.hpp"

namespace skep::sim {
namespace {

constexpr uint64_t kPatienceUs = 1000 * kMillisecond;  // with one try
constexpr uint64_t kTriesMax = 8;

}  // namespace

Clients::Clients(World& world, uint64_t count) : world_(world), clients_(count) {
  for (uint64_t i = 0; i < count; ++i) clients_[i].number = i;
}

void Clients::begin() {
  for (Client& client : clients_) rest(client);
}

// Sets the client's next turn after a pause; whatever turn it had before does not count any more.
void Clients::rest(Client& client) {
  client.turn += 1;
  world_.after(1 + world_.random().below(world_.profile().think_max_us),
               ClientDue{client.number, client.turn});
}

void Clients::due(const ClientDue& due) {
  Client& client = clients_[due.client];
  if (due.turn != client.turn) return;
  if (client.busy && client.tries >= kTriesMax && !finishing_) {
    // Given up: it may have happened, or may yet.
    client.busy = false;
  }
  if (client.busy) return ask(client, std::nullopt);
  if (client.left_in_last_round > 0) {
    client.left_in_last_round -= 1;
    return begin_operation(client, client.left_in_last_round != 0);
  }
  if (finishing_) return;
  begin_operation(client, world_.random().below(2) == 0);
}

void Clients::begin_operation(Client& client, bool is_write) {
  client.busy = true;
  client.tries = 0;
  client.sequence += 1;
  const uint64_t key = world_.random().below(kKeys);
  client.request = {is_write, {client.number + 1, client.sequence, 0, key, 0}};
  if (is_write) client.request.operation.value = ++values_;
  client.history = histories_[key].size();
  histories_[key].push_back({is_write, ++moment_, std::nullopt, values_, {}});
  ask(client, std::nullopt);
}

void Clients::ask(Client& client, std::optional<int> host) {
  client.tries += 1;
  client.turn += 1;
  client.request.operation.attempt = ++attempts_;
  const int to = host ? *host : any_host();
  if (const std::optional<uint64_t> delay = world_.network().delay()) {
    world_.after(*delay, RequestArrival{to, client.request});
  }
  world_.after(kPatienceUs, ClientDue{client.number, client.turn});
}

// In the end nobody asks a host that has no process: only patience would be tested.
int Clients::any_host() {
  const int first = world_.any_host();
  for (int i = 0; finishing_ && i < world_.hosts(); ++i) {
    const int host = (first + i) % world_.hosts();
    if (world_.host(host).running()) return host;
  }
  return first;
}

void Clients::answered(const Answer& answer) {
  Client& client = clients_[answer.client - 1];
  // An answer to an earlier attempt of the same operation is as good as one to the last.
  if (!client.busy || answer.sequence != client.sequence) return;
  const bool is_last_attempt = answer.attempt == client.request.operation.attempt;
  switch (answer.kind) {
    case AnswerKind::refused:
    case AnswerKind::unknown:
      if (!is_last_attempt) return;
      client.turn += 1;
      if (answer.try_host && world_.random().below(2) == 0) return ask(client, answer.try_host);
      world_.after(world_.random().below(300 * kMillisecond),
                   ClientDue{client.number, client.turn});
      return;
    case AnswerKind::overtaken:
      return world_.checker().fail("a client's own operation was overtaken while it waited (11)");
    case AnswerKind::done: {
      HistoryEntry& entry = histories_[client.request.operation.key][client.history];
      entry.returned = ++moment_;
      entry.result = answer.result;
      client.busy = false;
      return rest(client);
    }
  }
}

void Clients::last_round() {
  for (Client& client : clients_) {
    client.left_in_last_round = 2;
    rest(client);
  }
}

bool Clients::idle() const {
  return std::all_of(clients_.begin(), clients_.end(), [](const Client& client) {
    return !client.busy && client.left_in_last_round == 0;
  });
}

uint64_t Clients::operations() const {
  uint64_t sum = 0;
  for (const Client& client : clients_) sum += client.sequence;
  return sum;
}

std::optional<std::string> Clients::check_histories() const {
  for (uint64_t key = 0; key < kKeys; ++key) {
    if (check(histories_[key]) == Verdict::linearizable) continue;
    std::string what = "the history of key " + std::to_string(key) + " is not linearizable (12):";
    for (const HistoryEntry& entry : histories_[key]) {
      what += "\n  " + std::string(entry.is_write ? "write " : "read ") +
              (entry.is_write ? std::to_string(entry.written) : "") + " [" +
              std::to_string(entry.called) + ", " +
              (entry.returned ? std::to_string(*entry.returned) : "?") + "]: value " +
              std::to_string(entry.result.value) + ", write " + std::to_string(entry.result.count);
    }
    return what;
  }
  return std::nullopt;
}

}  // namespace skep::sim
