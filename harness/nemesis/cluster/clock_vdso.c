/* What agent/clocks/vdso.py puts into the unused end of a process's vDSO, and leads its three wall clock functions to. It asks the kernel and adds
 * what the setting says, which stands here as well. Linked to a flat file: one block of bytes that runs wherever it lies. */
#include <sys/time.h>
#include <time.h>
#include "clock_setting.h"

/* The head, which vdso.py knows: what this is, whose, what the entries were and where, the setting, and the ways in. */
asm(".text\n"
    ".ascii \"TRIBclk1\"\n"
    ".quad 0, 0\n"       /* owner; what says to the preloaded shim that the clock is moved here, or 0 */
    ".fill 6, 8, 0\n"    /* three times: where an entry was, its bytes */
    ".globl in_force\n.hidden in_force\n"
    "in_force: .fill 13, 8, 0\n"
    ".balign 8\n jmp shown_gettime\n"
    ".balign 8\n jmp shown_timeofday\n"
    ".balign 8\n jmp shown_time\n"
    ".hidden each_move\n .globl each_move\n"
    ".balign 8\n each_move: jmp move\n"   /* every moved reading comes by here, where it can be counted from outside */
    ".balign 16\n");

extern const struct file in_force __attribute__((visibility("hidden")));
extern void each_move(struct timespec *) __attribute__((visibility("hidden")));

enum { SYS_GETTIMEOFDAY = 96, SYS_TIME = 201, SYS_CLOCK_GETTIME = 228 };

static inline long kernel(long number, long first, void *second) {
    long result;
    asm volatile("syscall" : "=a"(result) : "a"(number), "D"(first), "S"(second) : "rcx", "r11", "memory");
    return result;
}

__attribute__((used)) static void move(struct timespec *t) { set_ns(t, ns_of(t) + moved_by(&in_force, ns_of(t))); }

__attribute__((used)) static long shown_gettime(int clock, struct timespec *t) {
    long failed = kernel(SYS_CLOCK_GETTIME, clock, t);
    if (!failed && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) each_move(t);
    return failed;
}

__attribute__((used)) static long shown_timeofday(struct timeval *tv, void *zone) {
    struct timespec t;
    if (zone) kernel(SYS_GETTIMEOFDAY, 0, zone);
    if (!tv) return 0;
    shown_gettime(CLOCK_REALTIME, &t);
    tv->tv_sec = t.tv_sec, tv->tv_usec = t.tv_nsec / 1000;
    return 0;
}

__attribute__((used)) static long shown_time(long *out) {
    struct timespec t;
    shown_gettime(CLOCK_REALTIME, &t);
    if (out) *out = t.tv_sec;
    return t.tv_sec;
}
