// Lines of `skep plugin run`, and what its book would restore.
// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch.hpp>

#include "cli/plugin/console_line.hpp"
#include "cli/plugin/object_book.hpp"

using skep::Result;
using skep::cli::ConsoleCall;
using skep::cli::ConsoleLine;
using skep::cli::ConsoleWord;
using skep::cli::full_name;
using skep::cli::Nothing;
using skep::cli::ObjectBook;
using skep::cli::parse_console_line;

namespace {

const std::vector<std::string> kVolume = {"skep.base/1", "skep.volume/1"};
const std::vector<std::string> kRuntime = {"skep.base/1", "skep.runtime/1", "skep.runtime.exec/1"};

ConsoleCall call(std::string_view line, const std::vector<std::string>& interfaces) {
  const Result<ConsoleLine> parsed = parse_console_line(line, interfaces);
  if (!parsed) FAIL(parsed.error().message);
  REQUIRE(std::holds_alternative<ConsoleCall>(*parsed));
  return std::get<ConsoleCall>(*parsed);
}

std::string refusal(std::string_view line, const std::vector<std::string>& interfaces = kVolume) {
  const Result<ConsoleLine> parsed = parse_console_line(line, interfaces);
  return parsed ? "understood" : parsed.error().message;
}

void saw(ObjectBook& book, std::string_view name, std::string_view request,
         std::string_view reply) {
  book.saw(*skep::host::find_operation("skep.volume/1", name), request, reply);
}

}  // namespace

TEST_CASE("a line is an operation by its short or its full name, with a document or without") {
  const ConsoleCall publish = call(R"(  publish {"volume": "a"} )", kVolume);
  CHECK(full_name(*publish.operation) == "volume.publish");
  CHECK(publish.request == R"({"volume": "a"})");
  CHECK_FALSE(publish.has_to_fail);
  CHECK(full_name(*call("volume.publish{}", kVolume).operation) == "volume.publish");
  CHECK(call("list", kVolume).request == "{}");
  CHECK(full_name(*call("probe", kVolume).operation) == "base.probe");
  CHECK(call(R"(! remove {"volume": "a"})", kVolume).has_to_fail);
}

TEST_CASE("a name that two tables have is the kind's own one, the other is named in full") {
  CHECK(full_name(*call("create", kRuntime).operation) == "runtime.create");
  CHECK(full_name(*call("runtime.exec.create", kRuntime).operation) == "runtime.exec.create");
  CHECK(full_name(*call("dump", {"skep.base/1", "skep.lb/1"}).operation) == "lb.dump");
  CHECK(full_name(*call("base.dump", {"skep.base/1", "skep.lb/1"}).operation) == "base.dump");
}

TEST_CASE("empty lines and comments are nothing, words of the console are words") {
  CHECK(std::holds_alternative<Nothing>(*parse_console_line("   ", kVolume)));
  CHECK(std::holds_alternative<Nothing>(*parse_console_line("# publish", kVolume)));
  const Result<ConsoleLine> log = parse_console_line("log debug", kVolume);
  REQUIRE(std::holds_alternative<ConsoleWord>(*log));
  CHECK(std::get<ConsoleWord>(*log).word == "log");
  CHECK(std::get<ConsoleWord>(*log).argument == "debug");
}

TEST_CASE("what can't be understood is told with the nearest word") {
  CHECK(refusal("publsh {}") == "there is no operation \"publsh\"; did you mean publish?");
  CHECK(refusal("xyzzy") == "there is no operation \"xyzzy\"; \"ops\" lists what there is");
  CHECK(refusal("endpoint_create {}") ==
        "there is no operation \"endpoint_create\"; \"ops\" lists what there is");
  CHECK(refusal("! quit") == "there is no operation \"quit\"; \"ops\" lists what there is");
  CHECK(refusal("list [1]") == "the request has to be a JSON object, {...}");
  CHECK(refusal("list {\"a\": }").find("the request is no JSON: ") == 0);
}

TEST_CASE("the book restores what has a handle, with its holders, until it is removed") {
  ObjectBook book;
  CHECK(book.restore_requests().empty());
  CHECK(book.restore_done_request() == R"({"ids":[]})");
  saw(book, "create", R"({"volume": "b"})", R"({"handle": {"version": 1}})");
  saw(book, "create", R"({"volume": "a"})", R"({"handle": 7})");
  saw(book, "publish", R"({"volume": "a", "holder": "c2", "holders": ["c1"]})",
      R"({"path": "/x"})");
  saw(book, "create", R"({"volume": "a"})", R"({"handle": 8})");  // again: the holders stay
  CHECK(book.restore_requests() ==
        std::vector<std::string>{R"({"id":"a","handle":8,"holders":["c1","c2"]})",
                                 R"({"id":"b","handle":{"version":1},"holders":[]})"});
  CHECK(book.restore_done_request() == R"({"ids":["a","b"]})");
  saw(book, "unpublish", R"({"volume": "a", "holder": "c2", "holders": ["c1"]})", "{}");
  saw(book, "remove", R"({"volume": "b"})", "{}");
  saw(book, "get", R"({"volume": "z"})", R"({"volume": "z", "handle": 1})");  // only read
  CHECK(book.restore_requests() ==
        std::vector<std::string>{R"({"id":"a","handle":8,"holders":["c1"]})"});
}

TEST_CASE("a book that is written down is the same when it is read") {
  ObjectBook book;
  saw(book, "create", R"({"volume": "a"})", R"({"handle": {"version": 1}})");
  saw(book, "publish", R"({"volume": "a", "holder": "c1", "holders": []})", "{}");
  book.saw(*skep::host::find_operation("skep.network/1", "create"), R"({"network": "n"})",
           R"({"handle": null})");
  const Result<ObjectBook> again = ObjectBook::from_text(book.to_text());
  REQUIRE(again);
  CHECK(again->restore_requests() == book.restore_requests());
  CHECK_FALSE(ObjectBook::from_text("{}"));
  CHECK(ObjectBook::from_text("")->restore_requests().empty());
}

TEST_CASE("objects of other kinds are restored by id and handle alone") {
  ObjectBook book;
  const auto* create = skep::host::find_operation("skep.network/1", "endpoint_create");
  const auto* remove = skep::host::find_operation("skep.network/1", "endpoint_remove");
  book.saw(*create, R"({"network": "n", "endpoint": "e"})", R"({"handle": {"a": [1]}})");
  CHECK(book.restore_requests() == std::vector<std::string>{R"({"id":"e","handle":{"a":[1]}})"});
  book.saw(*remove, R"({"network": "n", "endpoint": "e"})", "{}");
  CHECK(book.restore_requests().empty());
}
