/* Names of hosts reversed by label, so that all names below a domain are a range. Pure. */
#ifndef LASTCONN_FLOW_HOST_NAME_H
#define LASTCONN_FLOW_HOST_NAME_H

#include <stddef.h>

/* www.Example.com. -> com.example.www, in lower case. ret_reversed has room for size octets; what
 * is longer is cut. */
void host_name_reverse(const char *name, char *ret_reversed, size_t size);

#endif
