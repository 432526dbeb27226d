/* What a clock fault makes of the wall clock, for the preloaded shim and for the code in the vDSO: 64-bit integers that agent/clock.py writes.
 * The first is 0 for true time, or the generation of the setting that is in force, which stands in the slot of its parity. What is shown is a pure
 * function of true time, so all processes of a host agree. */
#include <stdint.h>

/* Shown = true + offset + what a rate of so many parts per billion too fast gained since the base + the strobe, which is on for the
 * first half of each period after the base. */
struct setting { int64_t generation, offset, base, rate, strobe, period; };
struct file { int64_t in_force; struct setting slots[2]; };

#define SECOND 1000000000

static inline int64_t moved_by(const struct file *file, int64_t now) {
    /* A slot is written only while the other one is in force, and no generation comes twice: one that is still in force was read whole. */
    int64_t in_force;
    struct setting s;
    while ((in_force = __atomic_load_n(&file->in_force, __ATOMIC_ACQUIRE))) {
        const struct setting *slot = &file->slots[in_force & 1];
        s.offset = __atomic_load_n(&slot->offset, __ATOMIC_ACQUIRE);
        s.base = __atomic_load_n(&slot->base, __ATOMIC_ACQUIRE);
        s.rate = __atomic_load_n(&slot->rate, __ATOMIC_ACQUIRE);
        s.strobe = __atomic_load_n(&slot->strobe, __ATOMIC_ACQUIRE);
        s.period = __atomic_load_n(&slot->period, __ATOMIC_ACQUIRE);
        if (in_force == __atomic_load_n(&file->in_force, __ATOMIC_ACQUIRE)) break;
    }
    if (!in_force) return 0;
    int64_t since = now - s.base, by = s.offset;
    /* In two parts, since the product of both has more than 64 bits. */
    if (s.rate) by += since / SECOND * s.rate + since % SECOND * s.rate / SECOND;
    if (s.period > 0 && ((since % s.period) + s.period) % s.period < s.period / 2) by += s.strobe;
    return by;
}

static inline int64_t ns_of(const struct timespec *t) { return (int64_t)t->tv_sec * SECOND + t->tv_nsec; }

static inline void set_ns(struct timespec *t, int64_t ns) {
    t->tv_sec = ns / SECOND, t->tv_nsec = ns % SECOND;
    if (t->tv_nsec < 0) t->tv_nsec += SECOND, t->tv_sec--;
}
