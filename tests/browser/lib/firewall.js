// A network of its own for the browser, whose firewall lets no UDP through: a namespace joined to ours by two interfaces.
import { execFileSync } from 'node:child_process';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PROGRAMS } from './browsers.js';

export class Firewall {
  /** Our side, where the browser reaches the gateway. */
  host = address(1);
  /** Needs the right to make network namespaces. */
  static async open() {
    const firewall = new Firewall();
    firewall.name = `udp-${process.pid}`;
    // Unlike `ip netns exec` it mounts nothing, which a chroot would not allow.
    firewall.enter = `nsenter --net=/run/netns/${firewall.name}`;
    firewall.folder = await mkdtemp(join(tmpdir(), 'firewall-'));
    /** Starts Chromium behind the firewall. */
    firewall.chromium = join(firewall.folder, 'chromium');
    const program = PROGRAMS.chromium;
    await writeFile(firewall.chromium, `#!/bin/sh\nexec ${firewall.enter} ${program} "$@"\n`);
    await chmod(firewall.chromium, 0o755);
    run('ip netns add', firewall.name);
    try {
      firewall.join();
    } catch (error) {
      await firewall.close();
      throw error;
    }
    return firewall;
  }

  join() {
    const [ours, theirs] = [`o${process.pid}`, `t${process.pid}`];
    run('ip link add', ours, 'type veth peer name', theirs, 'netns', this.name);
    run('ip addr add', `${this.host}/30`, 'dev', ours);
    run('ip link set', ours, 'up');
    this.inside('ip addr add', `${address(2)}/30`, 'dev', theirs);
    // An IPv6 address that comes a second later is a changed network to Chromium, which drops its connections then.
    this.inside('ip link set', theirs, 'addrgenmode none');
    this.inside('ip link set', theirs, 'up');
    this.inside('ip link set lo up');
    this.inside('iptables -A OUTPUT -p udp -j DROP');
    this.inside('iptables -A INPUT -p udp -j DROP');
  }

  /** UDP packets that it dropped. */
  get dropped() {
    return Number(this.inside('iptables -L OUTPUT -v -n -x').match(/^ *(\d+) .*DROP/m)[1]);
  }

  /** From now on it lets out TCP to this port alone. */
  letOutOnly(port) {
    this.inside('iptables -A OUTPUT ! -o lo -p tcp !', `--dport ${port}`, '-j DROP');
  }

  /** TCP to any port again. */
  letOutTcp() {
    this.inside('iptables -D OUTPUT 2');
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

/** In a network of this process alone: four addresses of 198.18.0.0/15, which RFC 2544 keeps for tests. */
function address(last) {
  const network = (process.pid % 0x8000) * 4;
  return `198.${18 + (network >> 16)}.${(network >> 8) & 255}.${(network & 255) + last}`;
}

function run(...words) {
  const [program, ...rest] = words.join(' ').split(' ');
  return execFileSync(program, rest, { encoding: 'utf8' });
}
