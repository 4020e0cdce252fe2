// skep-plugin-test: the conformance kit as a program of its own, installed with the SDK.
// SPDX-License-Identifier: Apache-2.0
#include <iostream>

#include "sdk/conformance/kit.hpp"

int main(int argc, char** argv) {
  return skep::conformance::kit_main({argv + 1, argv + argc}, std::cout, std::cerr);
}
