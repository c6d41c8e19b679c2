#include <errno.h>
#include <grp.h>
#include <pwd.h>

#include <sys/wait.h>

#include "account.h"
#include "testing.h"

/* Run a check in a child of uid 12345 (as root), so that this process keeps its rights.
 * Outside root it runs as who we are. returns its answer */
static bool
as_ordinary_user(bool (*check)(void))
{
    int status;
    pid_t child = fork();
    if (child == 0) {
        if (geteuid() == 0 && (setgroups(0, NULL) < 0 || setgid(12346) || setuid(12345)))
            _exit(2);
        _exit(check() ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static bool
every_role_is_me(void)
{
    struct account account = {0};
    return account_is_single_user() && account_find(&account, "qmailq") &&
           account.uid == geteuid() && account.gid == getegid() &&
           account_find(&account, "no-such-role") && account_become(&account);
}

static void
in_single_user_mode_every_role_is_the_user(void **state)
{
    (void)state;
    assert_true(as_ordinary_user(every_role_is_me));
}

static void
an_unknown_account_is_enoent(void **state)
{
    (void)state;
    struct account account;
    assert_false(account_lookup(&account, "no-such-account-here"));
    assert_int_equal(errno, ENOENT);
}

static void
control_accounts_gives_a_role_another_name(void **state)
{
    (void)state;
    struct account account = {0};
    const struct passwd *nobody = getpwnam("nobody");
    assert_non_null(nobody);
    uid_t uid = nobody->pw_uid;
    gid_t gid = nobody->pw_gid;
    write_file("control/accounts", "# roles\nqmailq:nobody\n");
    assert_true(account_lookup(&account, "qmailq"));
    assert_int_equal(account.uid, uid);
    assert_int_equal(account.gid, gid);
    assert_true(account_lookup(&account, "nobody"));
    if (!account_is_single_user()) {
        assert_true(account_find(&account, "qmailq"));
        assert_int_equal(account.uid, uid);
    }
}

static void
an_unreadable_list_of_accounts_is_an_error(void **state)
{
    (void)state;
    struct account account;
    assert_int_equal(unlink("control/accounts"), 0);
    assert_int_equal(symlink("accounts", "control/accounts"), 0);
    assert_false(account_lookup(&account, "nobody"));
    assert_int_equal(errno, ELOOP);
    assert_int_equal(unlink("control/accounts"), 0);
}

static void
root_is_never_become(void **state)
{
    (void)state;
    struct account root = {0};
    if (account_is_single_user())
        skip();
    assert_false(account_become(&root));
    assert_int_equal(errno, EPERM);
}

static void
becoming_leaves_nothing_of_root(void **state)
{
    (void)state;
    struct account account = {.uid = 12345, .gid = 12346};
    int status;
    if (account_is_single_user())
        skip();
    pid_t child = fork();
    if (child == 0) {
        gid_t groups[2];
        bool ok = account_become(&account) && getuid() == 12345 && geteuid() == 12345 &&
                  getgid() == 12346 && getgroups(2, groups) == 1 && groups[0] == 12346 &&
                  setuid(0) < 0;
        _exit(ok ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(in_single_user_mode_every_role_is_the_user),
        cmocka_unit_test(an_unknown_account_is_enoent),
        cmocka_unit_test(control_accounts_gives_a_role_another_name),
        cmocka_unit_test(an_unreadable_list_of_accounts_is_an_error),
        cmocka_unit_test(root_is_never_become),
        cmocka_unit_test(becoming_leaves_nothing_of_root),
    };
    return cmocka_run_group_tests(tests, enter_home, leave_folder);
}
