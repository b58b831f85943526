# Libraries that other people's programs link: shared and static, pkg-config, a CMake package.

include(CMakePackageConfigHelpers)

# flwr_public_library(NAME PARTS target ARCHIVES targets ... EXPORTS map DESCRIPTION text
#	[NEEDS public libraries ...] [REQUIRES_PRIVATE pkg-config modules ...] [LIBS_PRIVATE libraries ...])
#
# The targets NAME (shared: libNAME.so.0) and NAME-static (libNAME.a): the objects of PARTS, and of ARCHIVES (all
# static libraries of ours below PARTS) what they need. In both nothing can be seen but what EXPORTS names. NEEDS are
# other public libraries: linked, not included. What the system gives is linked into the shared library; users of the
# static one are told by REQUIRES_PRIVATE and LIBS_PRIVATE.
#
# Targets of ours that link NAME can include the headers of PARTS and of the folders below it.
function(flwr_public_library name)
	cmake_parse_arguments(ARG "" "PARTS;EXPORTS;DESCRIPTION" "ARCHIVES;NEEDS;REQUIRES_PRIVATE;LIBS_PRIVATE" ${ARGN})
	add_library(${name} SHARED $<TARGET_OBJECTS:${ARG_PARTS}>)
	set_target_properties(${name} PROPERTIES LINKER_LANGUAGE C LINK_DEPENDS ${ARG_EXPORTS}
		VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR} INSTALL_RPATH "$ORIGIN" BUILD_WITH_INSTALL_RPATH ON
		LIBRARY_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/lib)
	target_link_libraries(${name} PRIVATE ${ARG_ARCHIVES} PUBLIC ${ARG_NEEDS})
	target_link_options(${name} PRIVATE -Wl,--as-needed -Wl,--version-script=${ARG_EXPORTS})
	if(NOT FLWR_SANITIZE)
		target_link_options(${name} PRIVATE -Wl,-z,defs)
	endif()
	target_include_directories(${name} INTERFACE
		$<BUILD_INTERFACE:$<TARGET_PROPERTY:${ARG_PARTS},INTERFACE_INCLUDE_DIRECTORIES>>
		$<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
	install(TARGETS ${name} EXPORT FlwrTargets LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})

	flwr_static_library(${name} ${ARG_PARTS} ${ARG_ARCHIVES})
	flwr_pkg_config(${name} "${ARG_DESCRIPTION}" "${ARG_NEEDS}" "${ARG_REQUIRES_PRIVATE}" "${ARG_LIBS_PRIVATE}")
	set_property(GLOBAL APPEND PROPERTY FLWR_PUBLIC_LIBRARIES ${name})
	set_property(GLOBAL PROPERTY FLWR_NEEDS_${name} "${ARG_NEEDS}")
	set_property(GLOBAL PROPERTY FLWR_REQUIRES_${name} "${ARG_REQUIRES_PRIVATE}")
	set_property(GLOBAL PROPERTY FLWR_LIBS_${name} "${ARG_LIBS_PRIVATE}")
endfunction()

# libNAME.a: one object, in which hidden names are local, so that they cannot meet those of a program.
function(flwr_static_library name parts)
	set(archive ${PROJECT_BINARY_DIR}/lib/lib${name}.a)
	set(object ${CMAKE_CURRENT_BINARY_DIR}/${name}.o)
	set(archives)
	foreach(target ${ARGN})
		list(APPEND archives $<TARGET_FILE:${target}>)
	endforeach()
	file(MAKE_DIRECTORY ${PROJECT_BINARY_DIR}/lib)
	add_custom_command(OUTPUT ${archive}
		COMMAND ${CMAKE_C_COMPILER} -r -nostdlib -o ${object} $<TARGET_OBJECTS:${parts}>
			-Wl,--start-group ${archives} -Wl,--end-group
		COMMAND ${CMAKE_OBJCOPY} --localize-hidden ${object}
		COMMAND ${CMAKE_COMMAND} -E rm -f ${archive}
		COMMAND ${CMAKE_AR} qcs ${archive} ${object}
		DEPENDS ${parts} ${ARGN} $<TARGET_OBJECTS:${parts}>
		COMMAND_EXPAND_LISTS VERBATIM)
	add_custom_target(${name}-static ALL DEPENDS ${archive})
	install(FILES ${archive} DESTINATION ${CMAKE_INSTALL_LIBDIR})
endfunction()

# NAME.pc, which finds its prefix from where it lies.
function(flwr_pkg_config name description needs requires_private libs_private)
	set(dir ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig)
	file(RELATIVE_PATH prefix ${dir} ${CMAKE_INSTALL_PREFIX})
	file(RELATIVE_PATH libdir ${CMAKE_INSTALL_PREFIX} ${CMAKE_INSTALL_FULL_LIBDIR})
	file(RELATIVE_PATH includedir ${CMAKE_INSTALL_PREFIX} ${CMAKE_INSTALL_FULL_INCLUDEDIR})
	list(JOIN needs ", " needs)
	list(JOIN requires_private ", " requires_private)
	list(JOIN libs_private " " libs_private)
	configure_file(${PROJECT_SOURCE_DIR}/libflwr/cmake/library.pc.in ${name}.pc @ONLY)
	install(FILES ${CMAKE_CURRENT_BINARY_DIR}/${name}.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
endfunction()

# After all public libraries: the headers, and the CMake package with Flwr::NAME and Flwr::NAME-static of each.
function(flwr_install_package)
	set(dir ${CMAKE_INSTALL_LIBDIR}/cmake/Flwr)
	get_property(libraries GLOBAL PROPERTY FLWR_PUBLIC_LIBRARIES)
	set(FLWR_STATIC_LIBRARIES)
	foreach(name ${libraries})
		get_property(needs GLOBAL PROPERTY FLWR_NEEDS_${name})
		get_property(modules GLOBAL PROPERTY FLWR_REQUIRES_${name})
		get_property(libs GLOBAL PROPERTY FLWR_LIBS_${name})
		list(TRANSFORM needs REPLACE "(.+)" "Flwr::\\1-static")
		string(APPEND FLWR_STATIC_LIBRARIES "flwr_static(${name} LINK \"${needs};${libs}\" MODULES \"${modules}\")\n")
	endforeach()
	configure_package_config_file(${PROJECT_SOURCE_DIR}/libflwr/cmake/FlwrConfig.cmake.in FlwrConfig.cmake
		INSTALL_DESTINATION ${dir} PATH_VARS CMAKE_INSTALL_LIBDIR CMAKE_INSTALL_INCLUDEDIR)
	write_basic_package_version_file(FlwrConfigVersion.cmake COMPATIBILITY SameMajorVersion)
	install(EXPORT FlwrTargets NAMESPACE Flwr:: DESTINATION ${dir})
	install(FILES ${CMAKE_CURRENT_BINARY_DIR}/FlwrConfig.cmake ${CMAKE_CURRENT_BINARY_DIR}/FlwrConfigVersion.cmake
		DESTINATION ${dir})
	install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/flwr TYPE INCLUDE)
endfunction()
