# The few build rules that every room shares: strict warnings and precompiled headers.

# Our own sources compile with warnings as errors, after the precompiled headers of their room's kind;
# third-party headers come in as SYSTEM includes.
function(skep_warnings target)
  target_compile_options(${target} PRIVATE -Wall -Wextra -Wpedantic -Werror -Wshadow
    -Wno-missing-field-initializers $<$<COMPILE_LANGUAGE:CXX>:-Wnon-virtual-dtor>)
  skep_headers(${target})
endfunction()

# skep_library(name SOURCES ... LINK ...): a static library for one room, includable from the root.
function(skep_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LINK;PRIVATE_LINK" ${ARGN})
  add_library(${name} STATIC ${ARG_SOURCES})
  target_include_directories(${name} PUBLIC ${CMAKE_SOURCE_DIR})
  target_link_libraries(${name} PUBLIC ${ARG_LINK} PRIVATE ${ARG_PRIVATE_LINK})
  skep_warnings(${name})
endfunction()
