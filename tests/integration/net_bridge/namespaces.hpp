// Named network namespaces for a test: a node, containers, an outside world; gone when the object
// goes.
//
// Commands run in the shell of a namespace through iproute2; a test is no place to be fast. The
// names carry the process id, so that two runs do not meet.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

namespace skep::test {

class NamedNamespace {
 public:
  explicit NamedNamespace(const std::string& name);
  ~NamedNamespace();
  NamedNamespace(const NamedNamespace&) = delete;
  NamedNamespace& operator=(const NamedNamespace&) = delete;

  const std::string& name() const { return name_; }
  std::string path() const { return "/run/netns/" + name_; }
  // Runs a shell command inside; true when it exits with 0. Its output is in `output`, if wanted.
  bool run(const std::string& command, std::string* output = nullptr) const;
  // Takes it away before the object ends.
  void remove();

 private:
  std::string name_;
};

// Moves the calling thread (and the threads it starts) into a namespace until the object goes.
class Inside {
 public:
  explicit Inside(const NamedNamespace& there);
  ~Inside();
  Inside(const Inside&) = delete;
  Inside& operator=(const Inside&) = delete;

 private:
  int home_;
};

}  // namespace skep::test
