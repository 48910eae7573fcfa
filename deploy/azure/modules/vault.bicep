// What certroll may do with a vault: read it and deploy from it, by its own role, and read certificates and the secrets behind them, by
// Microsoft's.

@description('The vault. It authorizes by roles; for access policies see docs/permissions.md.')
param vaultName string

@description('Object id of the identity.')
param principalId string

@description('certroll\'s own role.')
param roleDefinitionId string

// Key Vault Certificate User.
var certificateUser = subscriptionResourceId('Microsoft.Authorization/roleDefinitions', 'db79e9a7-68ee-4b58-9aeb-b90e7c24fcba')

resource vault 'Microsoft.KeyVault/vaults@2022-07-01' existing = {
  name: vaultName
}

resource deploying 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(vault.id, principalId, roleDefinitionId)
  scope: vault
  properties: {
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: roleDefinitionId
  }
}

resource reading 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(vault.id, principalId, certificateUser)
  scope: vault
  properties: {
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: certificateUser
  }
}
