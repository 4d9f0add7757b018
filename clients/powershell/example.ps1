# The smallest ERP: books what is ordered, ships it in one box, and prints what became of it.
#
#     $env:FULFILLD_SOCKET = 'fulfilld.sock'
#     pwsh example.ps1 [COUNT]
#
# ends after so many orders, for 0 when no event is left; without a count it never does. What it has done before it may
# do again: the keys are those of its own documents, so nothing happens twice.

using module ./Fulfilld.psm1

param([int] $Most = -1)

$ErrorActionPreference = 'Stop'
$ended = 0

# Does what an event calls for; whether that was the last of its order.
function Invoke-Handler($seen) {
    $shop, $order = $seen.shop, $seen.order
    try {
        if ($seen.type -eq 'order.imported') {
            $null = Submit-FulfilldTarget $shop $order @{ state = 'accepted' } -Key "sale-$shop-$order"
            $parcel = @{ number = "B-$order"; carrier = 'DHL'; tracking = @("3S$order") }
            $null = Submit-FulfilldTarget $shop $order @{ state = 'shipped'; parcel = $parcel } -Key "box-$shop-$order"
            return $false
        }
        $target = Get-FulfilldTarget $seen.target
        if ($target.milestone -ne 'shipped') {
            return $false
        }
        Write-Host "$shop $order $($target.status)"
    }
    catch [FulfilldProblem] {
        if (-not $_.Exception.IsFinal) {
            throw
        }
        Write-Host "$shop $order refused $($_.Exception.Code)"
    }
    return $true
}

Receive-FulfilldEvent erp -Type order.imported, target.reached, target.failed -UntilEmpty:($Most -eq 0) -Do {
    param($seen)
    if (Invoke-Handler $seen) {
        $script:ended += 1
    }
    if ($Most -gt 0 -and $script:ended -ge $Most) {
        break
    }
}
