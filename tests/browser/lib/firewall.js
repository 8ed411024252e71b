// A network of its own for the browser, whose firewall lets no UDP through: a namespace joined to ours by two interfaces.
import { execFileSync } from 'node:child_process';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export class Firewall {
  /** Our side, where the browser reaches the gateway (RFC 2544 keeps the network for tests). */
  host = '198.18.77.1';
  /** Needs the right to make network namespaces. */
  static async open() {
    const firewall = new Firewall();
    firewall.name = `udp-${process.pid}`;
    // Unlike `ip netns exec` it mounts nothing, which a chroot would not allow.
    firewall.enter = `nsenter --net=/run/netns/${firewall.name}`;
    firewall.folder = await mkdtemp(join(tmpdir(), 'firewall-'));
    /** Starts Chromium behind the firewall. */
    firewall.chromium = join(firewall.folder, 'chromium');
    const program = process.env.CHROMIUM ?? '/usr/bin/chromium';
    await writeFile(firewall.chromium, `#!/bin/sh\nexec ${firewall.enter} ${program} "$@"\n`);
    await chmod(firewall.chromium, 0o755);
    const [ours, theirs] = [`o${process.pid}`, `t${process.pid}`];
    run('ip netns add', firewall.name);
    run('ip link add', ours, 'type veth peer name', theirs, 'netns', firewall.name);
    run('ip addr add', `${firewall.host}/30`, 'dev', ours);
    run('ip link set', ours, 'up');
    firewall.inside('ip addr add 198.18.77.2/30 dev', theirs);
    // An IPv6 address that comes a second later is a changed network to Chromium, which drops its connections then.
    firewall.inside('ip link set', theirs, 'addrgenmode none');
    firewall.inside('ip link set', theirs, 'up');
    firewall.inside('ip link set lo up');
    firewall.inside('iptables -A OUTPUT -p udp -j DROP');
    firewall.inside('iptables -A INPUT -p udp -j DROP');
    return firewall;
  }

  /** UDP packets that it dropped. */
  get dropped() {
    return Number(this.inside('iptables -L OUTPUT -v -n -x').match(/^ *(\d+) .*DROP/m)[1]);
  }

  inside(...words) {
    return run(this.enter, ...words);
  }

  /** The interfaces go with the namespace. */
  async close() {
    run('ip netns del', this.name);
    await rm(this.folder, { recursive: true });
  }
}

function run(...words) {
  const [program, ...rest] = words.join(' ').split(' ');
  return execFileSync(program, rest, { encoding: 'utf8' });
}
