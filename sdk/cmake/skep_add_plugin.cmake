# What builds a driver: the same file in skep's own tree and in an installed SDK.
#
# skep_add_plugin(NAME SOURCES...): NAME.so, a driver that exports skep_plugin_query alone. C sources need
# nothing but the SDK; for C++ the standard is C++20 and nlohmann_json is found and linked. The file appears in
# SKEP_PLUGIN_OUTPUT_DIRECTORY, or in the project's build folder where that is not set.
#
# skep_test_plugin(NAME [OWN_NETWORK] [ARGUMENTS...]): the test NAME.conformance, which runs the conformance kit
# over the driver; the arguments are given to skep-plugin-test. OWN_NETWORK: in a network namespace made for it, so
# that what a network driver makes is not the machine's (needs root).

function(skep_add_plugin name)
  add_library(${name} MODULE ${ARGN})
  set_target_properties(${name} PROPERTIES PREFIX "" C_VISIBILITY_PRESET hidden
    CXX_VISIBILITY_PRESET hidden)
  if(SKEP_PLUGIN_OUTPUT_DIRECTORY)
    set_target_properties(${name} PROPERTIES LIBRARY_OUTPUT_DIRECTORY ${SKEP_PLUGIN_OUTPUT_DIRECTORY})
  endif()
  target_link_libraries(${name} PRIVATE skep::sdk)
  if("${ARGN}" MATCHES "\\.(cpp|cc|cxx)(;|$)")
    target_compile_features(${name} PRIVATE cxx_std_20)
    find_package(nlohmann_json 3.11 QUIET)
    if(nlohmann_json_FOUND)
      target_link_libraries(${name} PRIVATE nlohmann_json::nlohmann_json)
    else()
      message(WARNING "skep_add_plugin: there is no nlohmann_json 3.11, which the headers in skep/cpp "
        "include (Debian: nlohmann-json3-dev)")
    endif()
  endif()
  # The version script, not visibility alone, keeps libstdc++'s weak symbols in; -z defs shows a missing
  # symbol to the author instead of to the user. A sanitizer's run time is the program's, so a library
  # built with one has holes by design.
  target_link_options(${name} PRIVATE
    -Wl,--version-script=${CMAKE_CURRENT_FUNCTION_LIST_DIR}/plugin.map)
  if(NOT "${CMAKE_C_FLAGS} ${CMAKE_CXX_FLAGS}" MATCHES "-fsanitize=")
    target_link_options(${name} PRIVATE -Wl,-z,defs)
  endif()
endfunction()

function(skep_test_plugin name)
  cmake_parse_arguments(ARG "OWN_NETWORK" "" "" ${ARGN})
  if(TARGET skep-plugin-test)
    set(program $<TARGET_FILE:skep-plugin-test>)
  else()
    find_program(SKEP_PLUGIN_TEST skep-plugin-test HINTS ${SKEP_SDK_PROGRAMS})
    set(program ${SKEP_PLUGIN_TEST})
  endif()
  if(program)
    set(alone)
    if(ARG_OWN_NETWORK)
      set(alone unshare --net)
    endif()
    add_test(NAME ${name}.conformance
      COMMAND ${alone} ${program} $<TARGET_FILE:${name}> ${ARG_UNPARSED_ARGUMENTS})
  else()
    message(WARNING "skep_test_plugin: there is no skep-plugin-test, so ${name} is not tested")
  endif()
endfunction()
