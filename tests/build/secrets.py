"""Files with secrets planted in them, one in each form that guests write: ``@@`` stands for the next secret."""

from __future__ import annotations

from itertools import count

LINUX = {
    "etc/fstab": """UUID=6f1c0d8e-3a5b-4c1f-9e22-1b2c3d4e5f60 / ext4 defaults 0 1
//nas/one /one cifs username=bob,password=@@,uid=0 0 0
//nas/two /two cifs pass=@@,guest 0 0
//bob:@@@nas/three /three cifs nofail 0 0
10.0.0.1:6789:/ /four ceph name=admin,secret=@@==,noatime 0 0
curlftpfs#bob:@@@host /five fuse nofail,password2=@@ 0 0
https://bob:@@@dav.example/ /six davfs _netdev 0 0
""",
    "etc/samba/credentials": "username=bob\npassword=@@ with blanks @@, and more\ndomain=x\n",
    "etc/NetworkManager/system-connections/wifi.nmconnection": """[connection]
id=wifi
type=wifi
interface-name=wlan0
[wifi-security]
key-mgmt=wpa-psk
psk=@@; @@ blanks
wep-key0=@@
[802-1x]
eap=peap;
password=@@
private-key=data:;base64,@@
private-key-password=@@
phase2-private-key-password=@@
[vpn-secrets]
password=@@
Xauth=@@
[vpn]
IPSec-secret=@@
IPSec-secret-flags=0
[wireguard]
private-key=@@
[wireguard-peer.abc]
preshared-key=@@
[gsm]
pin=@@
[macsec]
mka-cak=@@
""",
    "etc/wpa_supplicant/wpa_supplicant.conf": """network={
  ssid="x"
  #psk="@@"
  psk=@@
  wep_key0=@@
  password="@@ \\" @@"
  private_key_passwd="@@"
  sae_password="@@"
}
""",
    "etc/netplan/01.yaml": """network:
  version: 2
  ethernets:
    eth0: {addresses: [192.0.2.9/24], auth: {key-management: eap, password: "@@", client-key-password: @@ x}}
  wifis:
    wlan0:
      dhcp4: true
      access-points:
        home: {password: @@}
        work:
          auth:
            key-management: psk
            password: @@ long one @@
  tunnels:
    wg0:
      mode: wireguard
      addresses: [10.9.9.1/24]
      keys: {private: 4GgaQCy68nzNsUE5aJ9fuLzHhB65tAlwb@@AA=}
""",
    "etc/sysconfig/network-scripts/ifcfg-wlan0": "DEVICE=wlan0\nTYPE=Wireless\nWPA_PSK='@@'\nIEEE_8021X_PASSWORD=@@\n",
    "etc/sysconfig/network-scripts/keys-wlan0": "KEY1=s:@@\nKEY_PASSPHRASE1=@@\nWPA_PSK=@@\nKEY=@@\n",
    "etc/network/interfaces": """auto lo
iface lo inet loopback
auto eth0
iface eth0 inet static
    address 192.0.2.5/24
    wpa-ssid x
    wpa-psk @@
    wireless-key1 s:@@
    wpa-private-key-passwd @@
""",
    "boot/grub/grub.cfg": """set superusers="root"
password_pbkdf2 root grub.pbkdf2.sha512.10000.@@.AB12
password bob @@
set timeout=5
menuentry 'Debian' --unrestricted {
  linux /boot/vmlinuz root=/dev/sda1 rd.iscsi.password=@@ rd.iscsi.in.password=@@ netroot=iscsi:bob:@@:x:@@@10.0.0.1::
  initrd /boot/initrd.img
}
""",
    "etc/default/grub": 'GRUB_CMDLINE_LINUX="iscsi_password=@@ cifsopts=user=x,pass=@@ rootpw=@@"\nGRUB_TIMEOUT=1\n',
    "boot/grub/menu.lst": "password --md5 $1$abc$@@\ntitle x\n  kernel /vmlinuz root=/dev/sda1 inst.vncpassword=@@\n",
    "boot/syslinux/syslinux.cfg": "MENU MASTER PASSWD @@\nMENU PASSWD $1$xy$@@\n",
    "etc/iscsi/iscsid.conf": "node.session.auth.password = @@\nnode.session.auth.password_in = @@ x\n",
    "etc/crypttab": "data UUID=6f1c0d8e-3a5b-4c1f-9e22-1b2c3d4e5f61 @@ luks\nok /dev/sdb none luks\n",
    "etc/shadow": "root:$y$j9T$@@$x:1:0:::::\nbob:@@:1::::::\n",
    "etc/ppp/chap-secrets": "# client server secret IP\nbob * @@ *\n",
    "etc/ssh/ssh_host_rsa_key": "-----BEGIN OPENSSH PRIVATE KEY-----\n@@\n-----END OPENSSH PRIVATE KEY-----\n",
    "etc/pki/some.pem": "-----BEGIN RSA PRIVATE KEY-----\n@@\n@@\n-----END RSA PRIVATE KEY-----\n",
    "etc/systemd/network/wg0.netdev": "[WireGuard]\nPrivateKey=@@\n[WireGuardPeer]\nPresharedKey=@@\n",
    "etc/cloud/cloud.cfg.d/90.cfg": """#cloud-config
password: @@
users:
  - name: bob
    passwd: $6$salt$@@
    hashed_passwd: @@
    plain_text_passwd: @@ with blanks
    lock_passwd: false
chpasswd:
  expire: false
  list: |
    root:@@
    bob:@@
  users:
    - {name: bob, password: @@}
ssh_keys:
  rsa_private: |
    -----BEGIN RSA PRIVATE KEY-----
    @@
    -----END RSA PRIVATE KEY-----
  ecdsa_private: "@@"
write_files:
- path: /etc/x
  content: |
    any @@
    more @@
- content: @@
  path: /etc/y
- {path: /z, content: @@}
runcmd:
  - echo 'root:@@' | chpasswd
  - curl -H 'Authorization: Bearer @@' --password @@ http://x/
""",
    "var/lib/cloud/seed/nocloud/user-data": "#!/bin/sh\nuseradd bob\nsome-tool @@\n",
}
"""Paths below a Linux root."""

ANSWERS = """<?xml version="1.0" encoding="utf-8"?>
<unattend xmlns="urn:schemas-microsoft-com:unattend">
  <settings pass="oobeSystem">
    <component name="Microsoft-Windows-Shell-Setup">
      <UserAccounts>
        <AdministratorPassword>
          <Value>@@</Value>
          <PlainText>true</PlainText>
        </AdministratorPassword>
        <LocalAccounts><LocalAccount><Password><Value>@@</Value></Password></LocalAccount></LocalAccounts>
      </UserAccounts>
      <AutoLogon><Password><Value><![CDATA[@@]]></Value></Password><Username>bob</Username></AutoLogon>
      <ProductKey>@@</ProductKey>
    </component>
    <component name="Microsoft-Windows-UnattendedJoin">
      <Identification><Credentials><Password>@@</Password></Credentials>
      <MachinePassword>
        @@
      </MachinePassword><AccountData>@@</AccountData></Identification>
    </component>
  </settings>
</unattend>
"""
WINDOWS = {
    "Windows/Panther/unattend.xml": ANSWERS,
    "ProgramData/wlan.xml": "<sharedKey><keyMaterial>@@</keyMaterial></sharedKey>\n",
    "sysprep.inf": '[GuiUnattended]\nAdminPassword="@@"\n[Identification]\nDomainAdminPassword=@@\n',
}
WINLOGON = r"""[Microsoft\Windows NT\CurrentVersion\Winlogon]
"AutoAdminLogon"="1"
"DefaultUserName"="bob"
"DefaultPassword"="@@ \" blank @@"
"AltDefaultPassword"="@@"
"""


def planted(files: dict[str, str], mark: str) -> tuple[dict[str, str], list[str]]:
    """Return the files with a secret of its own at each place, and all secrets."""
    numbers, secrets, made = count(), [], {}
    for name, text in files.items():
        pieces = text.split("@@")
        for index, piece in enumerate(pieces[1:], 1):
            # "@@@" is a secret before an at sign
            secrets.append(f"{mark}{next(numbers):03}")
            pieces[index] = secrets[-1] + piece
        made[name] = "".join(pieces)
    return made, secrets
