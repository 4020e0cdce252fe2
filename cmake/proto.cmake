# How a .proto becomes a library that other rooms import and link.
#
# Names are relative to the root of the tree in every direction: `import "core/model/codec/task.proto"`
# in a .proto, `#include "core/model/codec/task.pb.h"` in C++. Generated files live in the build
# folder alone, come in as SYSTEM headers, and are compiled with -O1 and without our warnings: they
# are large, and nobody reads them.
find_package(Protobuf REQUIRED)

# skep_proto_library(name PROTOS file.proto ... [LINK other_proto_libraries ...])
# PROTOS are relative to the calling folder. LINK names the libraries of the imported files.
function(skep_proto_library name)
  cmake_parse_arguments(ARG "" "" "PROTOS;LINK" ${ARGN})
  set(root ${CMAKE_BINARY_DIR}/proto)
  file(RELATIVE_PATH folder ${CMAKE_SOURCE_DIR} ${CMAKE_CURRENT_SOURCE_DIR})
  set(generated)
  foreach(proto ${ARG_PROTOS})
    string(REGEX REPLACE "\\.proto$" "" stem ${folder}/${proto})
    get_filename_component(out ${root}/${stem} DIRECTORY)
    file(MAKE_DIRECTORY ${out})
    add_custom_command(
      OUTPUT ${root}/${stem}.pb.cc ${root}/${stem}.pb.h
      COMMAND protobuf::protoc -I ${CMAKE_SOURCE_DIR} --cpp_out=${root}
              --dependency_out=${root}/${stem}.d ${stem}.proto
      DEPENDS ${CMAKE_SOURCE_DIR}/${stem}.proto
      DEPFILE ${root}/${stem}.d
      WORKING_DIRECTORY ${CMAKE_SOURCE_DIR}
      COMMENT "protoc ${stem}.proto"
      VERBATIM)
    list(APPEND generated ${root}/${stem}.pb.cc ${root}/${stem}.pb.h)
  endforeach()
  add_library(${name} STATIC ${generated})
  target_include_directories(${name} SYSTEM PUBLIC ${root})
  target_link_libraries(${name} PUBLIC protobuf::libprotobuf ${ARG_LINK})
  target_compile_options(${name} PRIVATE -O1 -g0 -w)
  set(SKEP_HEADERS proto)
  skep_headers(${name})
endfunction()
