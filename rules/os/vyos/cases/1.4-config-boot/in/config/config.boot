interfaces {
    ethernet eth0 {
        address 192.0.2.10/24
        hw-id 00:50:56:00:00:01
    }
}
