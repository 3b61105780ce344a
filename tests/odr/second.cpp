// The second of two units that see every header; see first.cpp.
#include "all_headers.hpp"

const char* sentence_of_second_unit();
const void* address_of_second_unit();

const char* sentence_of_second_unit() { return vq::describe(vq::status::not_finite); }
const void* address_of_second_unit() { return &vq::library_version; }
