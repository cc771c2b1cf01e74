/* IP addresses as text: literals of both families. No names, no zones. */
#ifndef REF_ADDRESS_H
#define REF_ADDRESS_H

#include "machine.h"

/* "192.0.2.7", "2001:db8::1" (also with a dotted tail). Sets ip and leaves port. False: no literal. */
bool address_ip_parse(const char *text, size_t n, struct address *out);
/* "192.0.2.7:443", "[2001:db8::1]:443". */
bool address_parse(const char *text, size_t n, struct address *out);
bool address_is_v4(const struct address *a); /* IPv4-mapped */
bool address_is_zero(const struct address *a);
bool address_equal(const struct address *a, const struct address *b);
enum { ADDRESS_TEXT = 56 };
/* "192.0.2.7:443" or "[2001:db8:0:0:0:0:0:1]:443"; returns out. */
const char *address_text(const struct address *a, char out[ADDRESS_TEXT]);
/* The address alone in its canonical form (RFC 5952): "192.0.2.7", "2001:db8::1"; returns out. */
const char *address_ip_text(const struct address *a, char out[ADDRESS_TEXT]);

#endif
