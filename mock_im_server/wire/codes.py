"""The vendor's codes that this server answers with, each with its text.

Codes and meanings: the vendor's error list (1047/34348). Texts are ours where no original was found;
clients should look at the code.
"""

from typing import Final

OK: Final = 0

HTTP_PARSE: Final = 60002
JSON_PARSE: Final = 60003
BAD_URL_ACCOUNT: Final = 60004
BAD_SDKAPPID: Final = 60006
FREQUENCY_LIMIT: Final = 60007
BAD_HTTP_REQUEST: Final = 60008
BAD_RESOURCE: Final = 60009
ADMIN_NEEDED: Final = 60010
SDKAPPID_MISSING: Final = 60012
ACCOUNT_NO_STRING: Final = 60015

ACCOUNT_UNKNOWN: Final = 70107
BAD_ACCOUNT: Final = 70402
"""The vendor's "invalid parameter": what it says to a UserID that cannot be one is not documented."""

USERSIG_EXPIRED: Final = 70001
USERSIG_EMPTY: Final = 70002
USERSIG_MALFORMED: Final = 70003
USERSIG_WRONG_KEY: Final = 70009
USERSIG_OF_OTHER_USER: Final = 70013
USERSIG_OF_OTHER_APP: Final = 70014
SDKAPPID_UNKNOWN: Final = 70020
USERSIG_TOO_MANY_FAILURES: Final = 70050
USERSIG_REVOKED: Final = 70052
"""The user was kicked after this UserSig was made; a newly made one holds."""

PROFILE_BAD_REQUEST: Final = 40001
PROFILE_NO_USER: Final = 40002
PROFILE_USER_UNKNOWN: Final = 40003
PROFILE_TAG_UNKNOWN: Final = 40009
PROFILE_VALUE_TOO_LONG: Final = 40601
PROFILE_BAD_TYPE: Final = 40610

STATISTICS_JSON: Final = 130001

MESSAGE_JSON: Final = 90001
MESSAGE_BAD_BODY: Final = 90002
MESSAGE_NO_RECEIVER: Final = 90003
MESSAGE_NO_RANDOM: Final = 90005
MESSAGE_NO_LIST: Final = 90007
MESSAGE_NO_SENDER: Final = 90008
MESSAGE_TOO_MANY: Final = 90011
MESSAGE_RECEIVER_UNKNOWN: Final = 90012
MESSAGE_BAD_LIFE_TIME: Final = 90026
MESSAGE_BAD_SYNC: Final = 90031
MESSAGE_LIFE_TIME_NO_NUMBER: Final = 90044
MESSAGES_TOO_LONG: Final = 90055
MESSAGE_TOO_LONG: Final = 93000
GROUP_MESSAGE_TOO_LONG: Final = 80002

GROUP_COMMAND_UNKNOWN: Final = 10003
"""Of the group service, as the codes below."""
BAD_PARAMETER: Final = 10004
TOO_MANY_MEMBERS: Final = 10005
NOT_ALLOWED: Final = 10007
OWNER_CANNOT_QUIT: Final = 10009
GROUP_UNKNOWN: Final = 10010
BAD_GROUP_ID: Final = 10015
MEMBER_UNKNOWN: Final = 10019
NO_COMMUNITIES: Final = 11000

TICKET_INVALID: Final = -10003
"""The `a2` of a resume does not hold (seen as -10003 after a kick, TIMSDK#586)."""

TEXTS: Final = {
    OK: "",
    HTTP_PARSE: "HTTP parse Error",
    JSON_PARSE: "JSON parse error",
    BAD_URL_ACCOUNT: "the identifier in the request URL is missing or cannot be a UserID",
    BAD_SDKAPPID: "bad SDKAppID",
    FREQUENCY_LIMIT: "REST API call frequency exceeds the limit",
    BAD_HTTP_REQUEST: "service timeout or request format error,please check and try again",
    BAD_RESOURCE: "bad resource in the request URL",
    ADMIN_NEEDED: "this API needs the UserSig of an app admin",
    SDKAPPID_MISSING: "SDKAppID is missing",
    ACCOUNT_NO_STRING: "body account invalid",
    BAD_ACCOUNT: "UserID must be 1 to 32 bytes of letters, digits, '_' or '-'",
    USERSIG_EXPIRED: "UserSig expired",
    USERSIG_EMPTY: "UserSig is empty",
    USERSIG_MALFORMED: "UserSig is malformed",
    USERSIG_WRONG_KEY: "UserSig check failed: signed with another key",
    USERSIG_OF_OTHER_USER: "UserSig was made for another UserID",
    USERSIG_OF_OTHER_APP: "UserSig was made for another SDKAppID",
    SDKAPPID_UNKNOWN: "SDKAppID does not exist",
    USERSIG_TOO_MANY_FAILURES: "too many failed UserSig checks, retry in a minute",
    USERSIG_REVOKED: "UserSig is no longer valid, make a new one",
    STATISTICS_JSON: "the request is no JSON that this API knows",
    MESSAGE_JSON: "the request is no JSON that this API knows",
    MESSAGE_BAD_BODY: "MsgBody must hold elements with MsgType and MsgContent",
    MESSAGE_NO_RECEIVER: "To_Account is missing or no UserID",
    MESSAGE_NO_RANDOM: "MsgRandom is missing or no integer",
    MESSAGE_NO_LIST: "MsgBody is missing, empty or no list",
    MESSAGE_NO_SENDER: "From_Account does not exist",
    MESSAGE_TOO_MANY: "more than 500 accounts in one request",
    MESSAGE_RECEIVER_UNKNOWN: "To_Account does not exist",
    MESSAGE_BAD_LIFE_TIME: "MsgLifeTime is longer than 7 days",
    MESSAGE_BAD_SYNC: "SyncOtherMachine is no integer",
    MESSAGE_LIFE_TIME_NO_NUMBER: "MsgLifeTime is no integer",
    MESSAGES_TOO_LONG: "the message to many users is too long",
    MESSAGE_TOO_LONG: "the message is too long",
    GROUP_MESSAGE_TOO_LONG: "the message is too long",
    PROFILE_BAD_REQUEST: "Err_Profile_Comm_Decode_Fail",
    PROFILE_NO_USER: "the request names no user",
    PROFILE_USER_UNKNOWN: "the user does not exist",
    PROFILE_TAG_UNKNOWN: "there is no such profile field",
    PROFILE_BAD_TYPE: "the value of a profile field has the wrong type",
    PROFILE_VALUE_TOO_LONG: "a profile field is longer than 500 bytes",
    GROUP_COMMAND_UNKNOWN: "the group service has no such command",
    BAD_PARAMETER: "invalid parameter",
    TOO_MANY_MEMBERS: "too many members in one request",
    10006: "operation too frequent: the daily quota of net new groups is used up",
    NOT_ALLOWED: "the operation is not allowed for this type of group or this user",
    OWNER_CANNOT_QUIT: "the owner of a group cannot leave it",
    GROUP_UNKNOWN: "the group does not exist or was destroyed",
    10014: "the group is full",
    BAD_GROUP_ID: "invalid group id",
    MEMBER_UNKNOWN: "the UserID does not exist",
    # The vendor's own spelling, as clients have seen it.
    10021: "group id has be used!",
    10025: "group id has be used by youself!",
    10036: "the number of live groups (AVChatRoom) exceeds the limit of the plan",
    10037: "the number of groups of a user exceeds the limit of the plan",
    10038: "the number of members exceeds the limit of the plan",
    10058: "the number of groups exceeds the limit of the free plan",
    NO_COMMUNITIES: "communities are not enabled for this app",
    ACCOUNT_UNKNOWN: "Err_TLS_PT_Open_Login_Account_Not_Exist",
    71000: "accounts can only be deleted on the free plan",
    70398: "Err_TLS_Account_Num_Exceed_Threshold[70398]",
    72000: "the DAU quota of the free plan is used up",
    TICKET_INVALID: "the ticket of this session is not valid, log in again",
}
