# The fuzzer of what a helper process and its host read from each other; built on demand only.
if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang" AND TARGET skep_plugin_host_lib)
  add_executable(fuzz_wire EXCLUDE_FROM_ALL
    ${CMAKE_SOURCE_DIR}/tests/fuzz/wire_fuzz.cpp
    ${CMAKE_SOURCE_DIR}/sdk/host/catalog.cpp
    ${CMAKE_SOURCE_DIR}/sdk/host/utf8.cpp
    ${CMAKE_SOURCE_DIR}/sdk/host/wire.cpp)
  target_compile_options(fuzz_wire PRIVATE -fsanitize=fuzzer,address,undefined)
  target_link_options(fuzz_wire PRIVATE -fsanitize=fuzzer,address,undefined)
  target_include_directories(fuzz_wire PRIVATE ${CMAKE_SOURCE_DIR})
  target_link_libraries(fuzz_wire PRIVATE skep_sdk skep_model)
endif()
