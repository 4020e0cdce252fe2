// The code words of refusals are in three places: the list, the sentences that begin with them, and
// the page that says what to do. All three are read here, so that none can have one more.
// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <string>
#include <string_view>

#include "sdk/host/note.hpp"

namespace {

namespace fs = std::filesystem;
using Words = std::set<std::string>;

const fs::path sources = SKEP_TEST_SOURCES;

std::string text_of(const fs::path& path) {
  std::ifstream in(path);
  REQUIRE(in.good());
  return std::string(std::istreambuf_iterator<char>(in), {});
}

// Each "two_words" of `text` between `before` and `after`.
Words words_between(std::string_view text, std::string_view before, std::string_view after) {
  Words words;
  for (size_t at = text.find(before); at != std::string_view::npos;
       at = text.find(before, at + 1)) {
    const std::string_view rest = text.substr(at + before.size());
    const size_t length = rest.find_first_not_of("abcdefghijklmnopqrstuvwxyz_");
    const std::string_view word = rest.substr(0, length);
    if (word.find('_') != std::string_view::npos && rest.substr(word.size()).starts_with(after)) {
      words.emplace(word);
    }
  }
  return words;
}

// With which string literals of a folder's code begin.
Words told_in(const fs::path& folder) {
  Words words;
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(sources / folder)) {
    if (entry.path().extension() == ".cpp") words.merge(words_between(text_of(entry), "\"", ": "));
  }
  return words;
}

Words listed() {
  Words words(skep::host::refusal_words.begin(), skep::host::refusal_words.end());
  REQUIRE(words.size() == skep::host::refusal_words.size());
  return words;
}

}  // namespace

TEST_CASE("every refusal begins with a word of the list, and each word is used") {
  Words told = told_in("sdk/host");
  told.merge(told_in("daemon/drivers"));
  CHECK(told == listed());
}

TEST_CASE("a look at a file uses the same words, and two of its own for what only warns") {
  for (const std::string& word : told_in("cli/plugin")) {
    INFO(word);
    CHECK((listed().contains(word) || word == "extra_symbols" || word == "unique_symbols"));
  }
}

TEST_CASE("the page about trust has a remedy for each code word and for no other") {
  CHECK(words_between(text_of(sources / "docs/drivers/trust.md"), "\n| `", "` |") == listed());
}
