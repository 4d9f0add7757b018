<#
.SYNOPSIS
A client of fulfilld in one file: copy it into your project. PowerShell 7.4 or newer, without other modules.

.DESCRIPTION
    using module ./Fulfilld.psm1 # so that its errors can be named, too

    Submit-FulfilldTarget acme 67890 @{ state = 'shipped' } -Key delivery-note-4711
    Receive-FulfilldEvent erp {
        param($seen) # acknowledged when this block ends without an error
    }

Where the daemon is says $env:FULFILLD_SOCKET, or $env:FULFILLD_URL with $env:FULFILLD_TOKEN, or a client of
Connect-Fulfilld. Answers are the daemon's JSON as hash tables, whose keys are case-sensitive (docs/api.md,
/openapi.json); ignore members that you do not know. Errors are FulfilldProblem (the daemon said no; decide by its Code)
and FulfilldUnreachable (nobody knows what it did).
#>

#requires -Version 7.4

# How long an answer may take beyond what the daemon was asked to wait: it may have to read from a platform.
$CallSeconds = 90
$FirstPauseSeconds = 0.5
$LongestPauseSeconds = 30
$ProgressPreference = 'SilentlyContinue'

<# A call that was not answered with what was asked for. #>
class FulfilldException : System.Exception {
    # When the daemon wants to be asked again; null where it does not say.
    [Nullable[double]] $RetryAfterSeconds

    # Whether the same call would be refused again; otherwise it is to be made again later.
    [bool] $IsFinal = $false

    FulfilldException([string] $message, [System.Exception] $cause) : base($message, $cause) { }
}

<# There was no answer, or only a part of one: what was asked for may have been done or not. #>
class FulfilldUnreachable : FulfilldException {
    FulfilldUnreachable([string] $message, [System.Exception] $cause) : base($message, $cause) { }
}

<# The daemon's refusal. Code is its type, a stable word; Body has all members (allowed, errors, reason). #>
class FulfilldProblem : FulfilldException {
    [int] $Status
    [string] $Code
    [System.Collections.IDictionary] $Body

    FulfilldProblem([int] $status, [System.Collections.IDictionary] $body) : base(
        "$($body['type'] ?? "http-$status"): $($body['detail'] ?? $body['title'] ?? 'no details')", $null
    ) {
        $this.Status = $status
        $this.Code = $body['type'] ?? "http-$status"
        $this.Body = $body
        $this.IsFinal = $status -lt 500
    }
}

<# One daemon, by its socket or URL. #>
class FulfilldClient {
    [string] $Socket
    [string] $Url
    hidden [string] $Token

    FulfilldClient([string] $socket, [string] $url, [string] $token) {
        $this.Socket = $socket
        $this.Url = $url
        $this.Token = $token
    }
}

<#
.SYNOPSIS
One daemon, by its socket or URL; without either by the environment. No connection is kept open.
#>
function Connect-Fulfilld {
    [CmdletBinding()]
    [OutputType([FulfilldClient])]
    param([string] $Socket, [string] $Url, [string] $Token)

    if (-not $Socket -and -not $Url) {
        $Socket = $env:FULFILLD_SOCKET
        $Url = $env:FULFILLD_URL
    }
    if ($Socket) {
        $place = $PSCmdlet.GetUnresolvedProviderPathFromPSPath($Socket)
        return [FulfilldClient]::new($place, 'http://localhost', '')
    }
    if ($Url -notmatch '^https?://[^/]') {
        $wrong = $Url ? "$Url is no address of a daemon" : 'no address of the daemon'
        throw [System.ArgumentException]::new("$wrong; set FULFILLD_SOCKET, or FULFILLD_URL and FULFILLD_TOKEN")
    }
    return [FulfilldClient]::new('', $Url.TrimEnd('/'), ($Token ? $Token : $env:FULFILLD_TOKEN))
}

<#
.SYNOPSIS
Submits a target and answers with it.

.PARAMETER Key
The number of what the ERP booked, such as its delivery note; it is what makes a repetition harmless, so keep it with the
target before this is called. An answer that is lost and a 503 have the same key sent again until the patience ends; the
last error is thrown then, and the same key is right later, too.
#>
function Submit-FulfilldTarget {
    [CmdletBinding()]
    param(
        [Parameter(Mandatory)] [string] $Shop,
        [Parameter(Mandatory)] [string] $Order,
        [Parameter(Mandatory)] [System.Collections.IDictionary] $Target,
        [Parameter(Mandatory)] [string] $Key,
        [double] $WaitSeconds = 0,
        [double] $PatienceSeconds = 60,
        [FulfilldClient] $Client = (Connect-Fulfilld)
    )

    $path = Get-FulfilldPath shops $Shop orders $Order targets
    $query = $WaitSeconds -gt 0 ? @{ wait = $WaitSeconds } : @{}
    Invoke-Fulfilld POST $path $query $Target -Key $Key -PatienceSeconds $PatienceSeconds -Client $Client
}

<#
.SYNOPSIS
A target; waits until it is reached, blocked or ended, at most so long.
#>
function Get-FulfilldTarget {
    [CmdletBinding()]
    param(
        [Parameter(Mandatory)] [string] $Target,
        [double] $WaitSeconds = 0,
        [FulfilldClient] $Client = (Connect-Fulfilld)
    )

    $query = $WaitSeconds -gt 0 ? @{ wait = $WaitSeconds } : @{}
    Invoke-Fulfilld GET (Get-FulfilldPath targets $Target) $query -Client $Client
}

<#
.SYNOPSIS
An order, with payload, content or timeline if you like.
#>
function Get-FulfilldOrder {
    [CmdletBinding()]
    param(
        [Parameter(Mandatory)] [string] $Shop,
        [Parameter(Mandatory)] [string] $Order,
        [string[]] $Include = @(),
        [FulfilldClient] $Client = (Connect-Fulfilld)
    )

    $path = Get-FulfilldPath shops $Shop orders $Order
    Invoke-Fulfilld GET $path @{ include = $Include -join ',' } -Client $Client
}

<#
.SYNOPSIS
All orders that the filters of GET /v1/orders let through, page by page.
#>
function Find-FulfilldOrder {
    [CmdletBinding()]
    param([hashtable] $Filters = @{}, [FulfilldClient] $Client = (Connect-Fulfilld))

    $query = $Filters.Clone()
    do {
        $page = Invoke-Fulfilld GET (Get-FulfilldPath orders) $query -Client $Client
        $page['orders']
        $query['after'] = $page['next']
    } while ($null -ne $page['next'])
}

<#
.SYNOPSIS
Has a block handle the events for a consumer whose cursor the daemon keeps.

.DESCRIPTION
An event is acknowledged when the block ended; one that throws, or leaves by break, gets it again at the next time, so handle
each by a key of its own. Begin your script with $ErrorActionPreference = 'Stop': an error that does not end the block counts as
handled. A daemon that is away is waited for.

.PARAMETER UntilEmpty
Ends as soon as nothing is left, for scripts that are started again and again; without it this never ends.
#>
function Receive-FulfilldEvent {
    [CmdletBinding()]
    param(
        [Parameter(Mandatory)] [string] $Name,
        [Parameter(Mandatory)] [scriptblock] $Do,
        [string[]] $Type = @(),
        [string] $Shop,
        [string[]] $Include = @(),
        [int] $Limit = 100,
        [double] $WaitSeconds = 60,
        [switch] $UntilEmpty,
        [FulfilldClient] $Client = (Connect-Fulfilld)
    )

    $path = Get-FulfilldPath consumers $Name events
    $query = @{ type = $Type -join ','; shop = $Shop; include = $Include -join ','; limit = $Limit }
    if (-not $UntilEmpty -and $WaitSeconds -gt 0) {
        $query['wait'] = $WaitSeconds
    }
    $passed = $null
    do {
        $page = Invoke-Fulfilld GET $path $query -PatienceSeconds ([double]::PositiveInfinity) -Client $Client
        $isSame = $true
        foreach ($seen in $page['events']) {
            $isHandled = $false
            do { # a break in the block ends this loop, not the one around it
                & $Do $seen
                $isHandled = $true
            } while ($false)
            if (-not $isHandled) {
                return
            }
            $passed = $seen['cursor']
            $isSame = Test-FulfilldPass $Name $passed $page['feed'] $Client
            if (-not $isSame) {
                break
            }
        }
        if ($isSame -and $page['next'] -ne $passed) { # filters left events out
            $passed = $page['next']
            $null = Test-FulfilldPass $Name $passed $page['feed'] $Client
        }
    } while (-not $UntilEmpty -or $page['events'].Count -gt 0)
}

<#
.SYNOPSIS
Acknowledges all events up to a cursor.
#>
function Confirm-FulfilldEvent {
    [CmdletBinding()]
    param(
        [Parameter(Mandatory)] [string] $Name,
        [Parameter(Mandatory)] [long] $Cursor,
        [string] $Feed,
        [double] $PatienceSeconds = 60,
        [FulfilldClient] $Client = (Connect-Fulfilld)
    )

    $body = $Feed ? @{ cursor = $Cursor; feed = $Feed } : @{ cursor = $Cursor }
    $path = Get-FulfilldPath consumers $Name ack
    Invoke-Fulfilld POST $path @{} $body -PatienceSeconds $PatienceSeconds -Client $Client
}

<#
.SYNOPSIS
Has a consumer go on behind a cursor, back as well as forward; 0 is the beginning.
#>
function Set-FulfilldCursor {
    [CmdletBinding()]
    param(
        [Parameter(Mandatory)] [string] $Name,
        [Parameter(Mandatory)] [long] $Cursor,
        [FulfilldClient] $Client = (Connect-Fulfilld)
    )

    $path = Get-FulfilldPath consumers $Name seek
    Invoke-Fulfilld POST $path @{} @{ cursor = $Cursor } -PatienceSeconds 60 -Client $Client
}

<#
.SYNOPSIS
One call and the JSON that it is answered with: for all that has no function here.

.PARAMETER Path
Percent-encoded already (Get-FulfilldPath).

.PARAMETER PatienceSeconds
How long the call is made again while the daemon is away or busy: for reads, and for what has a key or may be repeated.
#>
function Invoke-Fulfilld {
    [CmdletBinding()]
    param(
        [Parameter(Mandatory)] [string] $Method,
        [Parameter(Mandatory)] [string] $Path,
        [System.Collections.IDictionary] $Query = @{},
        [System.Collections.IDictionary] $Body,
        [string] $Key,
        [double] $PatienceSeconds = 0,
        [FulfilldClient] $Client = (Connect-Fulfilld)
    )

    $clock = [System.Diagnostics.Stopwatch]::StartNew()
    $pause = $FirstPauseSeconds
    while ($true) {
        try {
            return Send-FulfilldCall $Method $Path $Query $Body $Key $Client
        }
        catch [FulfilldException] {
            $failure = $_.Exception
            $seconds = $failure.RetryAfterSeconds ?? $pause
            if ($failure.IsFinal -or $clock.Elapsed.TotalSeconds + $seconds -gt $PatienceSeconds) {
                throw
            }
            Write-Warning "fulfilld: $($failure.Message); again in $seconds s"
        }
        Start-Sleep -Milliseconds ($seconds * 1000)
        $pause = [Math]::Min($pause * 2, $LongestPauseSeconds)
    }
}

<#
.SYNOPSIS
A path of the API from its segments, whatever characters an id has.
#>
function Get-FulfilldPath {
    [OutputType([string])]
    param([Parameter(Mandatory, ValueFromRemainingArguments)] [string[]] $Segments)

    '/v1/' + (($Segments | ForEach-Object { [uri]::EscapeDataString($_) }) -join '/')
}

# One try of a call.
function Send-FulfilldCall($Method, $Path, $Query, $Body, $Key, [FulfilldClient] $Client) {
    $headers = @{ Accept = 'application/json' }
    if ($Client.Token) {
        $headers['Authorization'] = "Bearer $($Client.Token)"
    }
    if ($Key) {
        $headers['Idempotency-Key'] = $Key
    }
    if ($headers.Values -cmatch '[^ -~]') {
        throw [System.ArgumentException]::new('a key or token has characters that no header can carry')
    }
    $given = foreach ($name in $Query.Keys) {
        $value = $Query[$name] -is [bool] ? "$($Query[$name])".ToLowerInvariant() : "$($Query[$name])"
        if ($value) {
            "$name=$([uri]::EscapeDataString($value))"
        }
    }
    $seconds = [int] [Math]::Ceiling($CallSeconds + ($Query['wait'] ?? 0))
    $request = @{
        Method = $Method
        Uri = $Client.Url + $Path + ($given ? '?' + ($given -join '&') : '')
        Headers = $headers
        ConnectionTimeoutSeconds = $seconds
        OperationTimeoutSeconds = $seconds
        SkipHttpErrorCheck = $true
        DisableKeepAlive = $true
        NoProxy = $true
        ErrorAction = 'Stop'
    }
    if ($Client.Socket) {
        $request['UnixSocket'] = $Client.Socket
    }
    if ($null -ne $Body) {
        $request['ContentType'] = 'application/json'
        $request['Body'] = [System.Text.Encoding]::UTF8.GetBytes((ConvertTo-Json $Body -Depth 100 -Compress))
    }
    try {
        $response = Invoke-WebRequest @request
        $text = [System.Text.Encoding]::UTF8.GetString($response.RawContentStream.ToArray())
    }
    catch {
        $place = $Client.Socket ? $Client.Socket : $Client.Url
        throw [FulfilldUnreachable]::new("no answer from ${place}: $_", $_.Exception)
    }
    return Read-FulfilldAnswer $response $text
}

# The JSON of an answer. Throws FulfilldProblem for a refusal, FulfilldUnreachable when it is not the daemon's.
function Read-FulfilldAnswer($Response, [string] $Text) {
    $options = @{ AsHashtable = $true; NoEnumerate = $true; ErrorAction = 'Stop' }
    if ((Get-Command ConvertFrom-Json).Parameters.ContainsKey('DateKind')) {
        $options['DateKind'] = 'String' # PowerShell 7.5; before it, what looks like a time becomes [datetime]
    }
    $body = $null
    try {
        if ($Text) {
            $body = ConvertFrom-Json $Text @options
        }
    }
    catch {
        if ($Response.StatusCode -lt 300) {
            throw [FulfilldUnreachable]::new("the daemon's answer is not JSON", $_.Exception)
        }
    }
    if ($Response.StatusCode -ge 300) {
        $known = $body -is [System.Collections.IDictionary] ? $body : @{ detail = $Response.StatusDescription }
        $problem = [FulfilldProblem]::new($Response.StatusCode, $known)
        if ("$($Response.Headers['Retry-After'])" -match '^\d+$') {
            $problem.RetryAfterSeconds = [double] $Matches[0]
        }
        throw $problem
    }
    return $body
}

# True when it is acknowledged; false when the store was restored meanwhile: go on where its cursor is.
function Test-FulfilldPass([string] $Name, [long] $Cursor, [string] $Feed, [FulfilldClient] $Client) {
    try {
        $null = Confirm-FulfilldEvent $Name $Cursor $Feed -PatienceSeconds ([double]::PositiveInfinity) -Client $Client
        return $true
    }
    catch [FulfilldProblem] {
        if ($_.Exception.Code -ne 'cursor-ahead') {
            throw
        }
        return $false
    }
}

Export-ModuleMember -Function Connect-Fulfilld, Submit-FulfilldTarget, Get-FulfilldTarget, Get-FulfilldOrder,
    Find-FulfilldOrder, Receive-FulfilldEvent, Confirm-FulfilldEvent, Set-FulfilldCursor, Invoke-Fulfilld, Get-FulfilldPath
