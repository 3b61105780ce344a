# cmake -DCOMPILER=... -DINCLUDE=... -DCASE=... -P refuses.cmake
# Succeeds when COMPILER refuses CASE and says what the first line of CASE expects.
file(STRINGS ${CASE} first LIMIT_COUNT 1)
if(NOT first MATCHES "^// expect: (.+)$")
  message(FATAL_ERROR "${CASE}: the first line must be `// expect: <regular expression>`")
endif()
set(expected "${CMAKE_MATCH_1}")

# Messages without quotation marks that depend on the language.
set(ENV{LC_ALL} C)
execute_process(
  COMMAND ${COMPILER} -std=c++20 -fsyntax-only -I${INCLUDE} ${CASE}
  RESULT_VARIABLE result ERROR_VARIABLE said OUTPUT_QUIET)
if(result EQUAL 0)
  message(FATAL_ERROR "${CASE} compiles; it must not")
endif()
if(NOT said MATCHES "${expected}")
  message(FATAL_ERROR "${CASE} is refused, but without the message `${expected}`:\n${said}")
endif()
