package rules

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Allowed says whether this process may look at packet rules and change them; it asks for the capability only.
func Allowed() error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return fmt.Errorf("capabilities of this process: %w", err)
	}
	if data[0].Effective&(1<<unix.CAP_NET_ADMIN) == 0 {
		return fmt.Errorf("packet rules are for processes with CAP_NET_ADMIN, which this one of user %d has not: %w", os.Geteuid(), os.ErrPermission)
	}
	return nil
}

// explain says what an errno of nf_tables means, where that is not plain.
func explain(err error) error {
	switch {
	case errors.Is(err, unix.EPERM) && Allowed() == nil:
		return fmt.Errorf("this network namespace belongs to another user namespace, whose CAP_NET_ADMIN it takes: %w", err)
	case errors.Is(err, unix.ENETDOWN):
		return fmt.Errorf("%w: it is lo that is down (ip link set lo up)", err)
	case errors.Is(err, unix.EPROTONOSUPPORT), errors.Is(err, unix.EOPNOTSUPP), errors.Is(err, unix.EAFNOSUPPORT), errors.Is(err, unix.EINVAL) && !haveTables():
		return fmt.Errorf("this kernel has no nf_tables with family inet (CONFIG_NF_TABLES, CONFIG_NF_TABLES_INET), or its modules are not loaded "+
			"(modprobe nf_tables): %w", err)
	}
	return err
}

// haveTables: without nf_tables its part of netlink does not exist, which nfnetlink_rcv_msg answers with EINVAL.
func haveTables() bool {
	_, err := look(DefaultTable)
	return !errors.Is(err, unix.EINVAL)
}
