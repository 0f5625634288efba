/* Fails the N-th system call that changes a file below a folder, as a full disk or a broken one does: tests/cli/campaigns/disk.rs.
 *
 * A filter has the kernel raise SIGSYS instead of such calls, also of those that no library makes; the handler makes the call itself, or
 * gives the error. Its own calls carry MAGIC in the sixth argument, which none of them has, and pass.
 *
 * FAULT_UNDER  the folder, which is also the working directory
 * FAULT_AT     N, from 1
 * FAULT_STAYS  set if all later calls fail too
 * FAULT_ERRNO  the error's number
 * FAULT_LOG    a file outside of the folder that tells, by being there, that a call failed
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#define MAGIC 0x67707572

static const int CALLS[] = {SYS_write,  SYS_pwrite64, SYS_writev,    SYS_creat,  SYS_mkdir,          SYS_mkdirat,
                            SYS_rename, SYS_renameat, SYS_renameat2, SYS_fsync,   SYS_fdatasync, SYS_ftruncate, SYS_copy_file_range};
#define COUNT (sizeof CALLS / sizeof *CALLS)

static const char *under, *log_file;
static long at, stays, number, occasions;

static long raw(long call, long a, long b, long c, long d, long e) {
    register long r10 __asm__("r10") = d, r8 __asm__("r8") = e, r9 __asm__("r9") = MAGIC;
    long result;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(call), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return result;
}

static int is_under(const char *path) {
    return path[0] != '/' || strncmp(path, under, strlen(under)) == 0;
}

static int is_regular_under(int fd) {
    char name[32] = "/proc/self/fd/", path[4096], digits[12];
    int length = 0, end = 14;
    struct stat about;
    if (fd < 0 || raw(SYS_fstat, fd, (long)&about, 0, 0, 0) != 0 || !S_ISREG(about.st_mode)) return 0;
    do digits[length++] = '0' + fd % 10; while ((fd /= 10) > 0);
    while (length > 0) name[end++] = digits[--length];
    long size = raw(SYS_readlink, (long)name, (long)path, sizeof path - 1, 0, 0);
    if (size <= 0) return 0;
    path[size] = 0;
    return is_under(path);
}

static int changes(long call, long a, long b, long c) {
    const int writing = O_WRONLY | O_RDWR | O_CREAT;
    switch (call) {
    case SYS_open: return (b & writing) && is_under((const char *)a);
    case SYS_openat: return (c & writing) && is_under((const char *)b);
    case SYS_creat: case SYS_mkdir: case SYS_rename: return is_under((const char *)a);
    case SYS_mkdirat: case SYS_renameat: case SYS_renameat2: return is_under((const char *)b);
    case SYS_copy_file_range: return is_regular_under((int)c);
    default: return is_regular_under((int)a);
    }
}

static void handle(int signal, siginfo_t *info, void *context) {
    (void)signal;
    greg_t *r = ((ucontext_t *)context)->uc_mcontext.gregs;
    long call = info->si_syscall;
    if (changes(call, r[REG_RDI], r[REG_RSI], r[REG_RDX])) {
        long n = __atomic_add_fetch(&occasions, 1, __ATOMIC_SEQ_CST);
        if (n == at || (stays && n > at)) {
            long fd = raw(SYS_openat, AT_FDCWD, (long)log_file, O_WRONLY | O_CREAT, 0600, 0);
            if (fd >= 0) raw(SYS_close, fd, 0, 0, 0, 0);
            r[REG_RAX] = -number;
            return;
        }
    }
    r[REG_RAX] = raw(call, r[REG_RDI], r[REG_RSI], r[REG_RDX], r[REG_R10], r[REG_R8]);
}

__attribute__((constructor)) static void install(void) {
    const char *nth = getenv("FAULT_AT"), *error = getenv("FAULT_ERRNO");
    under = getenv("FAULT_UNDER");
    log_file = getenv("FAULT_LOG");
    if (!nth || !error || !under || !log_file) return;
    at = atol(nth);
    number = atol(error);
    stays = getenv("FAULT_STAYS") != NULL;
    struct sigaction action = {.sa_sigaction = handle, .sa_flags = SA_SIGINFO | SA_NODEFER};
    sigaction(SIGSYS, &action, NULL);
    // Reading is left alone: a program that is started under the filter opens its libraries before it has the handler.
    const int writing = O_WRONLY | O_RDWR | O_CREAT;
    struct sock_filter program[COUNT + 16];
    size_t n = 0;
#define LOAD(field) (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define IF(test, value, yes, no) (struct sock_filter)BPF_JUMP(BPF_JMP | test | BPF_K, value, yes, no)
#define END(action) (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, action)
    program[n++] = LOAD(args[5]);
    program[n++] = IF(BPF_JEQ, MAGIC, 0, 1);
    program[n++] = END(SECCOMP_RET_ALLOW);
    program[n++] = LOAD(nr);
    program[n++] = IF(BPF_JEQ, SYS_openat, 0, 3);
    program[n++] = LOAD(args[2]);
    program[n++] = IF(BPF_JSET, writing, COUNT + 5, 0);
    program[n++] = END(SECCOMP_RET_ALLOW);
    program[n++] = IF(BPF_JEQ, SYS_open, 0, 3);
    program[n++] = LOAD(args[1]);
    program[n++] = IF(BPF_JSET, writing, COUNT + 1, 0);
    program[n++] = END(SECCOMP_RET_ALLOW);
    for (size_t i = 0; i < COUNT; i++) program[n++] = IF(BPF_JEQ, CALLS[i], COUNT - i, 0);
    program[n++] = END(SECCOMP_RET_ALLOW);
    program[n++] = END(SECCOMP_RET_TRAP);
    struct sock_fprog filter = {.len = n, .filter = program};
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &filter);
}
