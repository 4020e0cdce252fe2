# The node's session with the managers; a target of its own so that it is tested without drivers.
skep_library(skep_session
  SOURCES ${CMAKE_SOURCE_DIR}/daemon/agent/session.cpp
          ${CMAKE_SOURCE_DIR}/daemon/agent/assignment_state.cpp
          ${CMAKE_SOURCE_DIR}/daemon/agent/status_queue.cpp
  LINK skep_transport skep_identity skep_raft skep_base skep_codec skep_model)
