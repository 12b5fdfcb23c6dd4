/* Mounts of the file system, as proc(5) tells them. */
#ifndef LASTCONN_UTIL_MOUNT_H
#define LASTCONN_UTIL_MOUNT_H

/* The id of the mount that the open file is on, as in mountinfo; -1 if it is not known. */
long mount_of(int fd);

#endif
