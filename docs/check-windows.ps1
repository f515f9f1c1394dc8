<#
.SYNOPSIS
    Checks on a started Windows what guestfix can only conclude from its files.

.DESCRIPTION
    Run it as an administrator in the guest, twice: on the old platform before 'guestfix report', and on the target after the
    first start. It changes nothing. Each line says what was looked at, what was found, and which part of docs/windows.md
    rests on it; lines with FAIL are worth a report, with the whole output.

.EXAMPLE
    powershell -ExecutionPolicy Bypass -File check-windows.ps1 > check.txt
#>
$ErrorActionPreference = 'Continue'
$failed = 0

function Say([string] $what, $ok, [string] $found, [string] $why) {
    $word = if ($null -eq $ok) { 'SEE ' } elseif ($ok) { 'OK  ' } else { 'FAIL'; $script:failed++ }
    '{0} {1}: {2}{3}' -f $word, $what, $found, $(if ($why) { "   [$why]" } else { '' })
}

function Value([string] $key, [string] $name) {
    try { (Get-ItemProperty -LiteralPath "Registry::HKEY_LOCAL_MACHINE\$key" -ErrorAction Stop).$name } catch { $null }
}

$services = 'SYSTEM\CurrentControlSet\Services'

# the control set: Windows starts what Select\Default names, and writes that to Current
$select = Get-ItemProperty 'Registry::HKEY_LOCAL_MACHINE\SYSTEM\Select'
Say 'Select' ($select.Current -eq $select.Default) "Current $($select.Current), Default $($select.Default), LastKnownGood $($select.LastKnownGood)" 'what is judged is Default'

# the disk that Windows starts from: its controller, that one's parents up to the root, each service with Start and StartOverride
$letter = $env:SystemDrive.TrimEnd(':')
$disk = Get-Partition -DriveLetter $letter -ErrorAction SilentlyContinue | Get-Disk -ErrorAction SilentlyContinue
if ($disk) {
    $id = (Get-CimInstance Win32_DiskDrive | Where-Object Index -EQ $disk.Number).PNPDeviceID
    $steps = 0
    while ($id -and $id -ne 'HTREE\ROOT\0' -and $steps -lt 12) {
        $steps++
        $service = Value "SYSTEM\CurrentControlSet\Enum\$id" 'Service'
        if ($service) {
            $start = Value "$services\$service" 'Start'
            $override = Value "$services\$service\StartOverride" '0'
            Say "bus of the system disk, step $steps" ($start -eq 0 -and ($null -eq $override -or $override -eq 0)) "$id driven by $service, Start $start, StartOverride $override" 'windows_buses of the target'
        }
        $id = (Get-PnpDeviceProperty -InstanceId $id -KeyName DEVPKEY_Device_Parent -ErrorAction SilentlyContinue).Data
    }
} else { Say 'system disk' $null 'this Windows has no storage cmdlets' 'windows_buses' }

# filters: each one that a class or a present device names is loaded
$classes = Get-ChildItem 'Registry::HKEY_LOCAL_MACHINE\SYSTEM\CurrentControlSet\Control\Class'
foreach ($class in $classes) {
    foreach ($kind in 'UpperFilters', 'LowerFilters') {
        foreach ($name in @($class.GetValue($kind)) | Where-Object { $_ }) {
            $driver = Get-CimInstance Win32_SystemDriver -Filter "Name='$($name -replace "'", "''")'"
            Say "filter of class $($class.GetValue('Class'))" ([bool]$driver -and $driver.StartMode -ne 'Disabled') "$name $($driver.State)" 'windows/orphan-filters'
        }
    }
}
Say 'file system filters' $null ((fltmc filters 2>$null | Select-Object -Skip 3) -join '; ') 'GF-WINDOWS-FOREIGN-FILTERS'

# devices with a problem: none that the target has may be among them
foreach ($device in Get-PnpDevice -PresentOnly -ErrorAction SilentlyContinue | Where-Object { $_.Status -ne 'OK' }) {
    Say 'device with a problem' ($device.Class -notin 'System', 'SCSIAdapter', 'HDC', 'DiskDrive', 'Volume', 'Net') "$($device.InstanceId) $($device.FriendlyName): $($device.Problem)" ''
}

# drivers of NICs: what the hive DRIVERS says is what Windows installs by itself
foreach ($nic in Get-NetAdapter -Physical -ErrorAction SilentlyContinue) {
    Say 'NIC' ($nic.Status -eq 'Up') "$($nic.InterfaceDescription): $($nic.DriverFileName) $($nic.DriverVersion) by $($nic.DriverProvider)" 'GF-WINDOWS-NIC-DRIVER'
    $address = Get-NetIPAddress -InterfaceIndex $nic.ifIndex -AddressFamily IPv4 -ErrorAction SilentlyContinue
    Say 'address' ([bool]($address | Where-Object { $_.PrefixOrigin -in 'Dhcp', 'Manual' })) (($address | ForEach-Object { "$($_.IPAddress) by $($_.PrefixOrigin)" }) -join ', ') 'windows/dhcp'
}
Say 'in-box NIC drivers' $null ((Get-ChildItem "$env:SystemRoot\INF\net*.inf" | Where-Object { (Get-Content $_ -Raw) -match 'VEN_8086&DEV_(100E|100F|10D3)|VEN_10EC&DEV_8139|VEN_15AD&DEV_07B0|VEN_1AF4&DEV_10(00|41)|VEN_1022&DEV_2000' } | ForEach-Object Name) -join ', ') 'formats/windows/netdrivers.py'

# services that networking rests on
foreach ($name in 'NDIS', 'Tcpip', 'AFD', 'nsiproxy', 'nsi', 'Dhcp', 'NlaSvc', 'netprofm') {
    $start = Value "$services\$name" 'Start'
    Say "service $name" ($null -eq $start -or $start -ne 4) "Start $start" 'windows/network-services'
}

# the boot menu: the partitions that it names are there
bcdedit /enum all 2>$null | Select-String 'identifier|^device|osdevice|default|displayorder|safeboot|hypervisorlaunchtype|testsigning|resumeobject|recoverysequence' | ForEach-Object {
    $line = $_.Line -replace '\s+', ' '
    Say 'boot menu' $(if ($line -match '(device) unknown') { $false } else { $null }) $line 'windows/boot-entries'
}

# security, roles, clouds
$guard = Get-CimInstance -Namespace root\Microsoft\Windows\DeviceGuard -ClassName Win32_DeviceGuard -ErrorAction SilentlyContinue
if ($guard) { Say 'virtualization-based security' $null "status $($guard.VirtualizationBasedSecurityStatus), running $($guard.SecurityServicesRunning -join ',')" 'GF-WINDOWS-VBS' }
Say 'KMS server' $null "$(Value 'SOFTWARE\Microsoft\Windows NT\CurrentVersion\SoftwareProtectionPlatform' 'KeyManagementServiceName')" 'GF-WINDOWS-KMS'
Say 'persistent routes' $null ((Get-Item "Registry::HKEY_LOCAL_MACHINE\$services\Tcpip\Parameters\PersistentRoutes" -ErrorAction SilentlyContinue).GetValueNames() -join '; ') 'windows/persistent-routes'
Say 'page file' $null ((Get-CimInstance Win32_PageFileUsage | ForEach-Object Name) -join ', ') 'GF-WINDOWS-PAGEFILE'

# the first start by guestfix
$folder = "$env:SystemRoot\guestfix"
if (Test-Path $folder) {
    $done = Get-Content "$folder\firstboot.done" -ErrorAction SilentlyContinue
    if (Test-Path "$folder\firstboot.cmd") { Say 'first start' ($done -match '^finished') ($done -join '; ') 'guestfix-firstboot' }
    foreach ($exit in Get-ChildItem "$folder\programs\*.exit" -ErrorAction SilentlyContinue) {
        $code = (Get-Content $exit.FullName | Select-Object -First 1)
        Say 'program of the payload' ("$code".Trim() -in '0', '1641', '3010') "$($exit.BaseName): exit code $code" 'windows/payload-programs'
    }
}

"$failed failed"
exit [Math]::Min($failed, 1)
