/* Asks for the wall clock by every way of the vDSO and by the C library, and for monotonic time, when a line is read: prints five times in ns.
 * Built statically, no library can be preloaded; with GO it carries the mark of a Go program, whose runtime calls the vDSO likewise. */
#include <elf.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/time.h>
#include <time.h>

#ifdef GO
__attribute__((section(".go.buildinfo"), used)) static const char mark[] = "\xff Go buildinf:";
#endif

static void *symbol(const char *name) {
    const char *image = (const char *)getauxval(AT_SYSINFO_EHDR);
    const Elf64_Ehdr *head = (const void *)image;
    const Elf64_Shdr *sections = (const void *)(image + head->e_shoff);
    for (int i = 0; i < head->e_shnum; i++) {
        if (sections[i].sh_type != SHT_DYNSYM) continue;
        const Elf64_Sym *symbols = (const void *)(image + sections[i].sh_offset);
        const char *names = image + sections[sections[i].sh_link].sh_offset;
        for (uint64_t n = 0; n < sections[i].sh_size / sizeof *symbols; n++)
            if (!strcmp(names + symbols[n].st_name, name)) return (void *)(image + symbols[n].st_value);
    }
    return NULL;
}

static int64_t ns(struct timespec t) { return t.tv_sec * 1000000000 + t.tv_nsec; }

int main(void) {
    int (*gettime)(clockid_t, struct timespec *) = symbol("__vdso_clock_gettime");
    int (*timeofday)(struct timeval *, void *) = symbol("__vdso_gettimeofday");
    time_t (*seconds)(time_t *) = symbol("__vdso_time");
    for (char line[16]; fgets(line, sizeof line, stdin);) {
        struct timespec wall, mono, library;
        struct timeval tv;
        gettime(CLOCK_MONOTONIC, &mono), gettime(CLOCK_REALTIME, &wall), timeofday(&tv, NULL), clock_gettime(CLOCK_REALTIME, &library);
        printf("%ld %ld %ld %ld %ld\n", ns(mono), ns(wall), tv.tv_sec * 1000000000 + tv.tv_usec * 1000, seconds(NULL) * 1000000000, ns(library));
        fflush(stdout);
    }
}
