/* The log: one line a fact, to stderr. Under systemd (JOURNAL_STREAM set) lines carry their
 * sd-daemon(3) priority and no time. Only the top layers log; low layers return errors. */
#ifndef LASTCONN_UTIL_LOG_H
#define LASTCONN_UTIL_LOG_H

enum log_level {
	LOG_LEVEL_ERROR = 3, /* syslog(3) severities */
	LOG_LEVEL_WARNING = 4,
	LOG_LEVEL_INFO = 6,
	LOG_LEVEL_DEBUG = 7,
};

/* program: the prefix of each line. Lines above level are dropped. */
void log_init(const char *program, enum log_level level);
void log_set_level(enum log_level level);

void log_line(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...)   log_line(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_line(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_info(...)    log_line(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...)   log_line(LOG_LEVEL_DEBUG, __VA_ARGS__)

#endif
