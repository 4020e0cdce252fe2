# The fuzzer of the node protocol's parsers; built on demand only (`ninja fuzz_frame`, clang).
# The sources are compiled again, because the sanitisers must see the parsers themselves.
if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang" AND TARGET skep_transport)
  add_executable(fuzz_frame EXCLUDE_FROM_ALL
    ${CMAKE_SOURCE_DIR}/tests/fuzz/frame_fuzz.cpp
    ${CMAKE_SOURCE_DIR}/core/raft/codec/message_codec.cpp
    ${CMAKE_SOURCE_DIR}/daemon/transport/frame_reader.cpp
    ${CMAKE_SOURCE_DIR}/daemon/transport/address.cpp
    ${CMAKE_SOURCE_DIR}/daemon/agent/assignment_state.cpp)
  target_compile_options(fuzz_frame PRIVATE -fsanitize=fuzzer,address,undefined)
  target_link_options(fuzz_frame PRIVATE -fsanitize=fuzzer,address,undefined)
  target_link_libraries(fuzz_frame PRIVATE skep_rpc_proto skep_raft_proto skep_raft skep_codec skep_model)
endif()
