# The fuzzer of what is read of a plugin's file before anything of it runs; built on demand only.
find_package(fmt REQUIRED)
find_package(OpenSSL REQUIRED)
pkg_check_modules(SKEP_LIBELF REQUIRED IMPORTED_TARGET libelf)
if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang" AND TARGET skep_plugin_host_lib)
  add_executable(fuzz_note EXCLUDE_FROM_ALL
    ${CMAKE_SOURCE_DIR}/tests/fuzz/note_fuzz.cpp
    ${CMAKE_SOURCE_DIR}/sdk/host/checked_file.cpp
    ${CMAKE_SOURCE_DIR}/sdk/host/elf_facts.cpp
    ${CMAKE_SOURCE_DIR}/sdk/host/note.cpp)
  target_compile_options(fuzz_note PRIVATE -fsanitize=fuzzer,address,undefined)
  target_link_options(fuzz_note PRIVATE -fsanitize=fuzzer,address,undefined)
  target_include_directories(fuzz_note PRIVATE ${CMAKE_SOURCE_DIR})
  target_link_libraries(fuzz_note PRIVATE skep_sdk skep_model fmt::fmt OpenSSL::Crypto PkgConfig::SKEP_LIBELF)
endif()
