# The SDK as a component: cmake --install out/build --prefix PREFIX --component sdk
#
# Included at the end of the whole build, when every program is a target. Headers only and two text files for
# CMake, so nothing here depends on the machine but the programs and the drivers.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(SKEP_SDK_SHARE ${CMAKE_INSTALL_DATADIR}/skep-sdk)
set(skep_sdk_cmake ${CMAKE_INSTALL_LIBDIR}/cmake/skep-sdk)
set(skep_sdk_source ${CMAKE_SOURCE_DIR}/sdk)

install(TARGETS skep_sdk EXPORT skep-sdk COMPONENT sdk)
install(EXPORT skep-sdk NAMESPACE skep:: FILE skep-sdkTargets.cmake DESTINATION ${skep_sdk_cmake}
  COMPONENT sdk)
configure_package_config_file(${skep_sdk_source}/cmake/skep-sdkConfig.cmake.in
  ${CMAKE_BINARY_DIR}/skep-sdkConfig.cmake INSTALL_DESTINATION ${skep_sdk_cmake}
  PATH_VARS CMAKE_INSTALL_BINDIR SKEP_SDK_SHARE)
write_basic_package_version_file(${CMAKE_BINARY_DIR}/skep-sdkConfigVersion.cmake
  COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_BINARY_DIR}/skep-sdkConfig.cmake
  ${CMAKE_BINARY_DIR}/skep-sdkConfigVersion.cmake ${skep_sdk_source}/cmake/skep_add_plugin.cmake
  ${skep_sdk_source}/cmake/plugin.map DESTINATION ${skep_sdk_cmake} COMPONENT sdk)

install(DIRECTORY ${skep_sdk_source}/include/skep DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}
  COMPONENT sdk FILES_MATCHING PATTERN "*.h" PATTERN "*.hpp")
install(DIRECTORY ${skep_sdk_source}/schema/ DESTINATION ${SKEP_SDK_SHARE}/schema
  COMPONENT sdk FILES_MATCHING PATTERN "*.json")
install(DIRECTORY ${skep_sdk_source}/examples
  DESTINATION ${SKEP_SDK_SHARE} COMPONENT sdk PATTERN examples/CMakeLists.txt EXCLUDE)
if(EXISTS ${CMAKE_SOURCE_DIR}/docs/drivers)
  install(DIRECTORY ${CMAKE_SOURCE_DIR}/docs/drivers DESTINATION ${SKEP_SDK_SHARE}/docs COMPONENT sdk)
endif()
install(FILES ${CMAKE_SOURCE_DIR}/LICENSE DESTINATION ${SKEP_SDK_SHARE} COMPONENT sdk)

# With a daemon and its own drivers, since a driver is tried in a playground.
foreach(program skep skepd skep-plugin-host skep-plugin-test)
  if(TARGET ${program})
    install(TARGETS ${program} RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT sdk)
  endif()
endforeach()
install(DIRECTORY ${SKEP_PLUGIN_OUTPUT_DIRECTORY}/ DESTINATION lib/skep/plugins COMPONENT sdk
  USE_SOURCE_PERMISSIONS)
