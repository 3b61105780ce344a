# Installs headers and package files as the install component "vq":
#   cmake --install build/release --prefix /opt/vq --component vq
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(vq_package_dir ${CMAKE_INSTALL_DATADIR}/cmake/vq)

if(CMAKE_VERSION VERSION_GREATER_EQUAL 3.23)
  install(TARGETS vq EXPORT vq-targets
    FILE_SET HEADERS DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT vq)
else()
  install(TARGETS vq EXPORT vq-targets)
  install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/vq DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}
    COMPONENT vq FILES_MATCHING PATTERN "*.hpp")
endif()
install(EXPORT vq-targets NAMESPACE vq:: DESTINATION ${vq_package_dir} COMPONENT vq)

# One export file per component: vqConfig.cmake loads those that the caller asks for.
foreach(component simd eigen json)
  install(TARGETS vq_${component} EXPORT vq-${component}-targets COMPONENT vq)
  install(EXPORT vq-${component}-targets NAMESPACE vq:: DESTINATION ${vq_package_dir} COMPONENT vq)
endforeach()

configure_package_config_file(cmake/vqConfig.cmake.in ${PROJECT_BINARY_DIR}/vqConfig.cmake
  INSTALL_DESTINATION ${vq_package_dir}
  NO_SET_AND_CHECK_MACRO)
write_basic_package_version_file(${PROJECT_BINARY_DIR}/vqConfigVersion.cmake
  COMPATIBILITY SameMinorVersion ARCH_INDEPENDENT)
install(FILES
    ${PROJECT_BINARY_DIR}/vqConfig.cmake
    ${PROJECT_BINARY_DIR}/vqConfigVersion.cmake
    cmake/xsimd.cmake
    cmake/dispatch.cmake
    cmake/instruction_sets.cmake
  DESTINATION ${vq_package_dir} COMPONENT vq)
install(DIRECTORY cmake/dispatch DESTINATION ${vq_package_dir} COMPONENT vq)
install(FILES LICENSE NOTICE DESTINATION ${CMAKE_INSTALL_DOCDIR} COMPONENT vq)
