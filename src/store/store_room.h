/* Room on the disk for the history: a ballast to throw off, and when there is little left. Internal
 * to store/. */
#ifndef LASTCONN_STORE_STORE_ROOM_H
#define LASTCONN_STORE_STORE_ROOM_H

#include <stdbool.h>

#include "store/store_path.h"

/* A WAL of more pages is moved into the file: few where the disk is nearly full. */
int store_room_wal_pages(const struct store_file *file);

/* Is there so little room that none is given back? */
bool store_room_is_tight(const struct store_file *file);

/* Lays the ballast and reserves room for the WAL, if they are not there and room is. */
void store_room_reserve(const struct store_file *file);

/* Was there one? */
bool store_room_drop_ballast(const struct store_file *file);

#endif
