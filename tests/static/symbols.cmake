# cmake -DBUILD=... -DTARGET=... -DOBJECT=... -DNM=... -DARCH=... -P symbols.cmake
# Builds TARGET, and fails where a function of OBJECT that a linker may share with other units does
# not name ARCH: the linker could hand its code, compiled for ARCH, to a CPU that lacks it.
# Holds for optimized units; without optimization small helpers of all libraries stay functions.
execute_process(COMMAND ${CMAKE_COMMAND} --build ${BUILD} --target ${TARGET}
  RESULT_VARIABLE result)
if(NOT result EQUAL 0)
  message(FATAL_ERROR "${TARGET} does not build")
endif()
execute_process(COMMAND ${NM} -C --defined-only ${OBJECT} OUTPUT_VARIABLE symbols
  COMMAND_ERROR_IS_FATAL ANY)
string(REPLACE ";" "," symbols "${symbols}")
string(REGEX MATCHALL "[^\n]+" symbols "${symbols}")
list(FILTER symbols INCLUDE REGEX " [WTV] .*\\(")
list(LENGTH symbols count)
list(FILTER symbols EXCLUDE REGEX "${ARCH}")
if(symbols OR count EQUAL 0)
  list(JOIN symbols "\n" text)
  message(FATAL_ERROR "of ${count} functions these do not name ${ARCH}:\n${text}")
endif()
message(STATUS "all ${count} functions name ${ARCH}")
