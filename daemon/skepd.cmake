# The daemon: rooms assembled.
skep_library(skep_node SOURCES advertise.cpp membership_file.cpp node.cpp node_anew.cpp node_group.cpp
    node_lock.cpp node_recovery.cpp node_requests.cpp
  LINK skep_manager skep_agent skep_session skep_drivers skep_transport skep_base)
add_executable(skepd main.cpp)
target_compile_definitions(skepd PRIVATE SKEP_VERSION="${PROJECT_VERSION}")
target_link_libraries(skepd PRIVATE skep_node skep_api)
skep_warnings(skepd)
# Lies beside it and is started by it.
add_dependencies(skepd skep-plugin-host)
