# Precompiled headers: the libraries' headers are parsed once for a kind of room, not once for a file.
#
# A room names its kind in SKEP_HEADERS (the nearest CMakeLists.txt above decides) and skep_warnings()
# does the rest. The kinds keep to the floors: what a room may not include is not in its kind either.
# A source still includes what it uses; the build with g++ has no precompiled headers and shows a
# forgotten include. Only headers of the system are here: one of ours would rebuild every room.
# None that needs a library linked by the mere including, as boost/asio/ssl does.
#
# The surprise: a precompiled header fits only files of its own visibility, of its own optimisation
# (none, or some) and of its own kind of position independence. So plugins and tests have theirs, and
# programs are compiled like libraries. No time is written into it, or ccache would never meet
# the same one twice; for the same reason ccache's sloppiness is widened in CMakePresets.json.
set(SKEP_HEADERS std)
set(CMAKE_CXX_COMPILE_OPTIONS_PIE -fPIC)

set(skep_std_headers algorithm array charconv chrono coroutine cstdint cstring deque exception
  functional map memory optional set sstream string string_view system_error tuple unordered_map
  utility variant vector)
set(skep_system_headers ${skep_std_headers} atomic condition_variable filesystem fstream mutex
  thread)
set(skep_json_headers ${skep_system_headers} nlohmann/json.hpp)
set(skep_proto_headers ${skep_system_headers} google/protobuf/arena.h google/protobuf/descriptor.h
  google/protobuf/generated_message_reflection.h google/protobuf/message.h
  google/protobuf/reflection_ops.h google/protobuf/repeated_field.h google/protobuf/wire_format.h)
set(skep_plugin_headers ${skep_json_headers} google/protobuf/arena.h
  google/protobuf/message_lite.h google/protobuf/repeated_field.h)
set(skep_daemon_headers ${skep_json_headers} ${skep_proto_headers} boost/asio/any_io_executor.hpp
  boost/asio/as_tuple.hpp boost/asio/awaitable.hpp boost/asio/bind_cancellation_slot.hpp
  boost/asio/co_spawn.hpp boost/asio/experimental/awaitable_operators.hpp
  boost/asio/io_context.hpp boost/asio/ip/tcp.hpp boost/asio/local/stream_protocol.hpp
  boost/asio/post.hpp boost/asio/redirect_error.hpp boost/asio/steady_timer.hpp
  boost/asio/this_coro.hpp boost/asio/use_awaitable.hpp boost/asio/write.hpp)
set(skep_test_headers ${skep_daemon_headers} catch2/catch.hpp)

# skep_headers(target): a target of C++ files starts from the precompiled headers of SKEP_HEADERS.
function(skep_headers target)
  get_target_property(sources ${target} SOURCES)
  if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang" AND sources MATCHES "\\.(cpp|cc)")
    target_precompile_headers(${target} REUSE_FROM skep_headers_${SKEP_HEADERS})
  endif()
endfunction()

if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  file(WRITE ${CMAKE_BINARY_DIR}/headers/empty.cpp.new "")
  file(COPY_FILE ${CMAKE_BINARY_DIR}/headers/empty.cpp.new ${CMAKE_BINARY_DIR}/headers/empty.cpp
    ONLY_IF_DIFFERENT)
  foreach(kind std json proto plugin daemon test)
    list(REMOVE_DUPLICATES skep_${kind}_headers)
    list(TRANSFORM skep_${kind}_headers REPLACE "(.+)" "<\\1>")
    add_library(skep_headers_${kind} OBJECT EXCLUDE_FROM_ALL ${CMAKE_BINARY_DIR}/headers/empty.cpp)
    target_precompile_headers(skep_headers_${kind} PRIVATE ${skep_${kind}_headers})
    target_compile_options(skep_headers_${kind} PRIVATE "SHELL:-Xclang -fno-pch-timestamp")
  endforeach()
  target_compile_options(skep_headers_test PRIVATE -O0)
  set_target_properties(skep_headers_plugin PROPERTIES CXX_VISIBILITY_PRESET hidden)
endif()
