# How a folder becomes a target, and which other folders its sources can include.

set(FLWR_C_WARNINGS -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes
	-Wold-style-definition -Wformat=2 -Wpointer-arith -Wimplicit-fallthrough -Wvla -Wwrite-strings
	-Wundef -Wswitch-enum)

# Assertions find our own bugs; they stay on in every build.
foreach(flags CMAKE_C_FLAGS_RELEASE CMAKE_C_FLAGS_RELWITHDEBINFO CMAKE_C_FLAGS_MINSIZEREL
		CMAKE_CXX_FLAGS_RELEASE CMAKE_CXX_FLAGS_RELWITHDEBINFO CMAKE_CXX_FLAGS_MINSIZEREL)
	string(REPLACE "-DNDEBUG" "" ${flags} "${${flags}}")
endforeach()

function(flwr_flags target)
	target_compile_options(${target} PRIVATE "$<$<COMPILE_LANGUAGE:C>:${FLWR_C_WARNINGS}>"
		"$<$<COMPILE_LANGUAGE:CXX>:-Wall;-Wextra>" -fstack-protector-strong)
	if(FLWR_WERROR)
		target_compile_options(${target} PRIVATE -Werror)
	endif()
	target_compile_definitions(${target} PRIVATE _GNU_SOURCE
		"FLWR_RELEASE=\"${PROJECT_VERSION}\"")
	# Variables of the environment by which tests change what the programs do; not in what users run.
	if(FLWR_TESTS)
		target_compile_definitions(${target} PRIVATE FLWR_TEST_HOOKS)
	endif()
	if(FLWR_STATIC)
		target_compile_definitions(${target} PRIVATE FLWR_STATIC)
	endif()
	if(FLWR_SANITIZE)
		target_compile_options(${target} PRIVATE -fsanitize=address,undefined
			-fno-sanitize-recover=all -fno-omit-frame-pointer)
		target_link_options(${target} PUBLIC -fsanitize=address,undefined)
	elseif(FLWR_TSAN)
		target_compile_options(${target} PRIVATE -fsanitize=thread -fno-omit-frame-pointer)
		target_link_options(${target} PUBLIC -fsanitize=thread)
	else()
		target_compile_options(${target} PRIVATE "$<$<NOT:$<CONFIG:Debug>>:-U_FORTIFY_SOURCE;-D_FORTIFY_SOURCE=2>")
	endif()
	if(FLWR_FUZZ)
		target_compile_options(${target} PRIVATE -fsanitize=fuzzer-no-link)
	endif()
	target_link_options(${target} PUBLIC -Wl,-z,relro,-z,now)
endfunction()

# flwr_library(NAME folder SOURCES ... USES targets ... PRIVATE targets ...)
#
# The target's headers can be included as "<folder>/<header>.h" by itself and by those that (transitively) use it,
# and by nobody else: each target has an include directory of its own, with one link to its folder in it.
function(flwr_library name)
	cmake_parse_arguments(ARG "" "" "SOURCES;USES;PRIVATE" ${ARGN})
	file(RELATIVE_PATH folder ${PROJECT_SOURCE_DIR} ${CMAKE_CURRENT_SOURCE_DIR})
	cmake_path(GET folder PARENT_PATH parent)
	set(layer ${PROJECT_BINARY_DIR}/layers/${name})
	file(MAKE_DIRECTORY ${layer}/${parent})
	file(CREATE_LINK ${CMAKE_CURRENT_SOURCE_DIR} ${layer}/${folder} SYMBOLIC)
	add_library(${name} STATIC ${ARG_SOURCES})
	flwr_flags(${name})
	target_include_directories(${name} PUBLIC ${layer})
	target_link_libraries(${name} PUBLIC ${ARG_USES} PRIVATE ${ARG_PRIVATE})
endfunction()

# flwr_static(program): without a dynamic linker. Position-independent all the same, by our own flags, since CMake's
# would make it dynamic again.
function(flwr_static program)
	set_property(TARGET ${program} PROPERTY POSITION_INDEPENDENT_CODE)
	target_compile_options(${program} PRIVATE -fPIE)
	target_link_options(${program} PRIVATE -static-pie)
endfunction()

# flwr_program(NAME [SHARED] SOURCES ... USES targets ...); SHARED: needs shared libraries in every build.
function(flwr_program name)
	cmake_parse_arguments(ARG "SHARED" "" "SOURCES;USES" ${ARGN})
	file(RELATIVE_PATH folder ${PROJECT_SOURCE_DIR} ${CMAKE_CURRENT_SOURCE_DIR})
	set(layer ${PROJECT_BINARY_DIR}/layers/${name})
	cmake_path(GET folder PARENT_PATH parent)
	file(MAKE_DIRECTORY ${layer}/${parent})
	file(CREATE_LINK ${CMAKE_CURRENT_SOURCE_DIR} ${layer}/${folder} SYMBOLIC)
	add_executable(${name} ${ARG_SOURCES})
	flwr_flags(${name})
	target_include_directories(${name} PRIVATE ${layer})
	target_link_libraries(${name} PRIVATE ${ARG_USES})
	if(FLWR_STATIC AND NOT ARG_SHARED)
		flwr_static(${name})
	endif()
endfunction()

# flwr_behind_reaper(target name): the program in libexec/flwr-native that the reaper of this name executes.
function(flwr_behind_reaper target name)
	set_target_properties(${target} PROPERTIES OUTPUT_NAME ${name} FLWR_GRPC_INSIDE ON
		RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/libexec/flwr-native)
	# A quarter of the symbols that the dynamic linker would look up are libstdc++'s. With gRPC inside no other
	# library that is linked needs it; libarchive, when it is loaded, brings its own by ICU.
	if(GRPC_INSIDE AND NOT FLWR_SANITIZE AND NOT FLWR_TSAN)
		target_link_options(${target} PRIVATE -static-libstdc++ -static-libgcc)
	endif()
	install(TARGETS ${target} RUNTIME DESTINATION ${CMAKE_INSTALL_LIBEXECDIR}/flwr-native)
endfunction()

# What ThreadSanitizer looks at (scripts/test --tsan): what has threads, codecs that hash on several of them, the
# libraries for other people's programs. gRPC, whose locks it does not know, is not linked.
set(FLWR_TSAN_TESTS
	"^(clientapp\\.native\\..*|common\\.base\\.(log|parallel|slice)|common\\.loop\\..*|common\\.records\\.(bidi_records|objects_codec)|supernode\\.store\\..*|libflwr\\.app\\..*|libflwr\\.node\\.(client_calls|engine|mailbox|node|session_bidi|settings|start))$")
if(FLWR_TSAN)
	add_custom_target(tsan-tests)
endif()

# flwr_unit_test(test_x.c USES targets ...): one cmocka program, one ctest entry, named after its place below
# tests/unit: unit.common.base.x. It is linked with tests/kit, finds files beside its source in FLWR_TEST_DIR, and
# Flower's Python, if there is one, in the environment as FLWR_TEST_PYTHON (the oldest release) and
# FLWR_TEST_PYTHON_NEW (the newest).
function(flwr_unit_test source)
	cmake_parse_arguments(ARG "" "" "USES" ${ARGN})
	file(RELATIVE_PATH name ${PROJECT_SOURCE_DIR}/tests/unit ${CMAKE_CURRENT_SOURCE_DIR}/${source})
	string(REGEX REPLACE "/test_([^/]*)\\.c$" "/\\1" name ${name})
	string(REPLACE "/" "." name ${name})
	add_executable(unit.${name} ${source})
	target_compile_definitions(unit.${name} PRIVATE "FLWR_TEST_DIR=\"${CMAKE_CURRENT_SOURCE_DIR}\"")
	flwr_flags(unit.${name})
	# cmocka's functions have parameters that few tests need.
	target_compile_options(unit.${name} PRIVATE -Wno-unused-parameter)
	target_link_libraries(unit.${name} PRIVATE ${ARG_USES} test_kit)
	set_target_properties(unit.${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests)
	add_test(NAME unit.${name} COMMAND unit.${name})
	set_tests_properties(unit.${name} PROPERTIES TIMEOUT 180 LABELS unit
		ENVIRONMENT "FLWR_SOURCE_DIR=${PROJECT_SOURCE_DIR};PYTHONDONTWRITEBYTECODE=1")
	if(FLWR_TSAN AND name MATCHES "${FLWR_TSAN_TESTS}")
		add_dependencies(tsan-tests unit.${name})
		target_link_options(unit.${name} PRIVATE -Wl,--as-needed)
		set_property(TEST unit.${name} APPEND PROPERTY LABELS tsan)
		set_property(TEST unit.${name} PROPERTY TIMEOUT 300)
		# Tests ask for sizes that nobody has.
		set_property(TEST unit.${name} APPEND PROPERTY ENVIRONMENT "TSAN_OPTIONS=allocator_may_return_null=1")
	endif()
	if(FLWR_PYTHON_ENV)
		set_property(TEST unit.${name} APPEND PROPERTY ENVIRONMENT
			"FLWR_TEST_PYTHON=${FLWR_PYTHON_ENV}/bin/python")
	endif()
	if(FLWR_PYTHON_ENV_NEW)
		set_property(TEST unit.${name} APPEND PROPERTY ENVIRONMENT
			"FLWR_TEST_PYTHON_NEW=${FLWR_PYTHON_ENV_NEW}/bin/python")
	endif()
endfunction()

# flwr_test_clock(unit.x ...): the time of these programs is that of tests/kit/clock.h.
function(flwr_test_clock)
	foreach(test ${ARGN})
		target_link_options(${test} PRIVATE -Wl,--wrap=clock_now_ms)
	endforeach()
endfunction()

# flwr_test_allocations(unit.x ...): allocations of these programs fail when tests/kit/failing.h says so.
function(flwr_test_allocations)
	foreach(test ${ARGN})
		target_link_options(${test} PRIVATE
			-Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=reallocarray,--wrap=aligned_alloc,--wrap=strdup
			-Wl,--wrap=strndup,--wrap=asprintf)
	endforeach()
endfunction()
