profile tool /usr/sbin/tool {
  /dev/sda r,
}
